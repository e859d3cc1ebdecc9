/** What calls back into the optimizer in the middle of a step is refused what it asks for, and nothing is changed. */
import * as tf from '@tensorflow/tfjs-core';
import { CgfacError } from '../../../lib/adapter-kit';
import { type CgfacOptions, cgfac } from '../../../lib/tfjs';
import type { NamedTensor } from '../../../lib/tfjs/tape/named-tensor';
import { errorOf, normal, quietScopes } from '../support/backends';
import { type SmallRun, smallRun } from '../support/small-run';

quietScopes();

/** What a call in the middle of a step finds. */
interface Middle extends SmallRun {
  readonly weights: NamedTensor[];
  readonly gradients: tf.NamedTensorMap;
}

const inner: Readonly<Record<string, (middle: Middle) => unknown>> = {
  minimize: ({ train }) => train(1),
  computeGradients: ({ optimizer, loss, variables }) => optimizer.computeGradients(loss, [...variables]),
  applyGradients: ({ optimizer, gradients }) => optimizer.applyGradients(gradients),
  setWeights: ({ optimizer, weights }) => optimizer.setWeights(weights),
  finalizeVariableValues: ({ optimizer }) => optimizer.finalizeVariableValues(),
  withAveragedWeights: ({ optimizer }) => optimizer.withAveragedWeights(() => undefined),
  dispose: ({ optimizer }) => optimizer.dispose(),
};

/** Those that answer with a promise, which a step does not wait for. */
const promising = ['setWeights', 'withAveragedWeights'];

const reads = ({ optimizer }: Middle) => {
  optimizer.report();
  optimizer.getConfig();
  return [optimizer.iterations, optimizer.learningRate, optimizer.lastStep];
};

type Make = (ask: <T>(value: T) => () => T) => CgfacOptions;

/** Schedules that ask for something, and the call that they are asked during. */
const schedules: readonly (readonly [name: string, options: Make, during: string])[] = [
  ['learningRate', (ask) => ({ learningRate: ask(0.5) }), 'applyGradients'],
  ['damping', (ask) => ({ damping: ask({ relative: 0.5 }) }), 'applyGradients'],
  ['momentum', (ask) => ({ momentum: ask(0.5) }), 'applyGradients'],
  ['weightDecay', (ask) => ({ weightDecay: ask(0.01) }), 'applyGradients'],
  ['emaMomentum', (ask) => ({ emaMomentum: ask(0.9) }), 'applyGradients'],
  ['polyakFraction', (ask) => ({ polyakFraction: ask(0.5) }), 'applyGradients'],
  ['klClip', (ask) => ({ method: 'cg', klClip: ask(0.01) }), 'applyGradients'],
  ['fisherFraction', (ask) => ({ factorUpdateSteps: 1, fisherFraction: ask(0.5) }), 'minimize'],
  ['factorUpdateSteps', (ask) => ({ factorUpdateSteps: ask(1) }), 'minimize'],
  ['f', () => ({}), 'minimize'],
];

/** A run that asks for something in the middle of its third step. */
async function trained(
  [name, make]: (typeof schedules)[number],
  call: ((middle: Middle) => unknown) | undefined,
  step: (run: SmallRun, middle: (loss: () => tf.Scalar) => () => tf.Scalar) => Promise<void> | void,
): Promise<readonly number[]> {
  let armed: (() => unknown) | undefined;
  const asked = () => {
    const asking = armed;
    armed = undefined;
    asking?.();
  };
  const run = smallRun(
    make((value) => () => {
      asked();
      return value;
    }),
  );
  run.train(2);
  const weights = await run.optimizer.getWeights();
  const { grads: gradients } = tf.variableGrads(run.loss, [...run.variables]);
  if (call) armed = () => call({ ...run, weights, gradients });
  await step(run, (loss) => () => {
    const made = loss();
    if (name === 'f') asked();
    return made;
  });
  expect(armed).toBeUndefined();
  run.train(2);
  const numbers = await run.numbers();
  run.dispose();
  return numbers;
}

describe.each(schedules)('%s', (...row) => {
  const [, , during] = row;
  let expected: readonly number[];

  beforeEach(async () => {
    expected ??= await trained(row, undefined, (run) => run.train(1));
  });

  const refusal = (call: string) =>
    `Expected a loss or a schedule that does not ask for ${call}() of what it belongs to during ${during}() but ` +
    'received one that does';

  test.each(Object.keys(inner))('that asks for %s is refused', async (name) => {
    const call = inner[name] as (middle: Middle) => unknown;
    let refused: unknown;
    // one that catches it, or is answered by a promise: the step goes on
    const catching = (middle: Middle) => {
      refused = errorOf(() => call(middle)).catch((nothing: unknown) => nothing);
    };
    const minimized = ({ optimizer, loss, variables }: SmallRun, middle: (f: typeof loss) => typeof loss) => {
      optimizer.minimize(middle(loss), false, [...variables]);
    };
    expect(await trained(row, catching, minimized)).toEqual(expected);
    expect(await refused).toBeInstanceOf(CgfacError);
    expect(await refused).toMatchObject({ code: 'ERR_CGFAC_BUSY', message: refusal(name) });
    if (promising.includes(name)) return;
    // one that does not: the step is not taken, and nothing is changed
    const found = await trained(row, call, async (run, middle) => {
      const before = await run.numbers();
      const { numTensors } = tf.memory();
      expect(await errorOf(() => minimized(run, middle))).toMatchObject({
        code: 'ERR_CGFAC_BUSY',
        message: refusal(name),
      });
      expect(tf.memory().numTensors).toBe(numTensors);
      expect(await run.numbers()).toEqual(before);
      run.train(1);
    });
    expect(found).toEqual(expected);
  });

  test('may read what there is', async () => {
    const read = jest.fn(reads);
    const found = await trained(row, read, ({ optimizer, loss, variables }, middle) => {
      optimizer.minimize(middle(loss), false, [...variables]);
    });
    expect(found).toEqual(expected);
    expect(read).toHaveReturnedWith([2, expect.anything(), expect.anything()]);
  });
});

test('f may have another optimizer take a step, and read what this one keeps', async () => {
  const f = ['f', () => ({}), 'minimize'] as const;
  const other = cgfac({ seed: 1 });
  const w = tf.variable(normal([3, 2], 7));
  const call = ({ optimizer, x }: Middle) => {
    other.minimize(() => tf.mean(tf.square(tf.matMul(x, w))) as tf.Scalar, false, [w]);
    expect(optimizer.memoryUsage().total).toBeGreaterThan(0);
  };
  const step = ({ optimizer, loss, variables }: SmallRun, middle: (f: typeof loss) => typeof loss) => {
    optimizer.minimize(middle(loss), false, [...variables]);
  };
  expect(await trained(f, call, step)).toEqual(await trained(f, undefined, step));
  expect(other.iterations).toBe(1);
  other.dispose();
});

test('gradients that ask for a call when they are read are refused', async () => {
  const { optimizer, variables, loss, train } = smallRun();
  train(1);
  const { grads } = optimizer.computeGradients(loss, [...variables]);
  const asking = Object.defineProperty({ ...grads }, 'w', { enumerable: true, get: () => optimizer.dispose() });
  const { code, message } = await errorOf(() => optimizer.applyGradients(asking));
  expect([code, message]).toEqual([
    'ERR_CGFAC_BUSY',
    expect.stringContaining('dispose() of what it belongs to during'),
  ]);
  optimizer.applyGradients(grads);
  expect(optimizer.iterations).toBe(2);
});

test.each(schedules)('%s that throws at the first step leaves no trace', async (...[name, make]) => {
  const trainedAfter = async (failing: boolean) => {
    let fails = failing;
    const ask = () => {
      if (!fails) return;
      fails = false;
      throw new Error('mine');
    };
    const run = smallRun(
      make((value) => () => {
        ask();
        return value;
      }),
    );
    const f = () => {
      const made = run.loss();
      if (name === 'f') ask();
      return made;
    };
    if (failing) expect((await errorOf(() => run.optimizer.minimize(f))).message).toMatch(/mine$/);
    expect(fails).toBe(false);
    run.train(3);
    const numbers = await run.numbers();
    run.dispose();
    return numbers;
  };
  expect(await trainedAfter(true)).toEqual(await trainedAfter(false));
});
