/** A call that is refused has changed nothing: not even what was captured for the step to come. */
import * as tf from '@tensorflow/tfjs-core';
import { CgfacError } from '../../../lib/adapter-kit';
import { errorOf, quietScopes } from '../support/backends';
import { type SmallRun, smallRun } from '../support/small-run';

quietScopes();

type Gradients = tf.NamedTensorMap;
type Refused = readonly [
  name: string,
  call: (run: SmallRun, gradients: Gradients) => unknown,
  code: string,
  message: RegExp,
];

const anything = <T>(value: unknown): T => value as T;
const ofType = 'ERR_CGFAC_INVALID_ARG_TYPE';
const ofValue = 'ERR_CGFAC_INVALID_ARG_VALUE';

/** Those of a step, with another one of the last kernel (4 × 2). */
const withOther = (make: () => unknown) => (run: SmallRun, gradients: Gradients) =>
  run.optimizer.applyGradients({ ...gradients, [run.variables[3].name]: anything(make()) });

/** Those of a step, with another one of the scale (4). */
const withOtherScale = (make: () => unknown) => (run: SmallRun, gradients: Gradients) =>
  run.optimizer.applyGradients({ ...gradients, [run.variables[2].name]: anything(make()) });

const applied = (gradients: unknown) => (run: SmallRun) => run.optimizer.applyGradients(anything(gradients));

function disposed(shape: number[]): tf.Tensor {
  const tensor = tf.ones(shape);
  tensor.dispose();
  return tensor;
}

const eight = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'];
const thrower = () => {
  throw new Error('a trap');
};

const gradients: readonly Refused[] = [
  [
    'no gradients',
    applied(null),
    ofType,
    /^Expected an object or an array of named tensors for gradients but .* null$/,
  ],
  ['gradients that are a string', applied('any'), ofType, /named tensors for gradients but received 'any'$/],
  ['gradients that are numbers', applied(new Float32Array(3)), ofType, /received a Float32Array of length 3$/],
  ['a list of null', applied([null]), ofType, /^Expected a tensor with its name for gradients\[0\] but received null$/],
  ['a list without names', applied([{ tensor: 1 }]), ofType, /^Expected a string for gradients\[0\]\.name but .*ined$/],
  ['gradients that throw', applied(new Proxy({}, { ownKeys: thrower })), ofValue, /received one that throws: a trap$/],
  ['none of them', applied({}), 'ERR_CGFAC_TFJS_NO_CAPTURE', /^Expected a gradient of \S+ for applyGradients but/],
  [
    'one of another variable',
    (run, all) => run.optimizer.applyGradients({ ...all, stranger: tf.scalar(1) }),
    'ERR_CGFAC_TFJS_NO_CAPTURE',
    /^Expected gradients of the last computeGradients for applyGradients but received one of stranger;/,
  ],
  [
    'all but one',
    (run, all) => run.optimizer.applyGradients({ ...all, [run.variables[3].name]: anything(null) }),
    'ERR_CGFAC_TFJS_NO_CAPTURE',
    /^Expected a gradient of \S+ for applyGradients but received none;/,
  ],
  [
    'a transposed gradient',
    withOther(() => tf.ones([2, 4])),
    'ERR_CGFAC_SHAPE_MISMATCH',
    /^Expected a tensor of shape 4 × 2 for the gradient of \S+ but received one of shape 2 × 4$/,
  ],
  ['a flat gradient', withOther(() => tf.ones([8])), 'ERR_CGFAC_SHAPE_MISMATCH', /but received one of shape 8$/],
  ['a longer gradient', withOther(() => tf.ones([4, 3])), 'ERR_CGFAC_SHAPE_MISMATCH', /one of shape 4 × 3$/],
  ['a scalar gradient', withOtherScale(() => tf.scalar(1)), 'ERR_CGFAC_SHAPE_MISMATCH', /of shape 4 for .* a scalar$/],
  [
    'a gradient of strings',
    withOther(() => tf.tensor(eight, [4, 2])),
    ofType,
    /^Expected a float32 tensor for the gradient of \S+ but received one of string$/,
  ],
  ['strings for the scale', withOtherScale(() => tf.tensor(eight.slice(4))), ofType, /received one of string$/],
  ['a gradient of integers', withOther(() => tf.ones([4, 2], 'int32')), ofType, /received one of int32$/],
  ['a gradient of truth values', withOther(() => tf.ones([4, 2], 'bool')), ofType, /received one of bool$/],
  [
    'a complex gradient',
    withOther(() => tf.complex(tf.ones([4, 2]), tf.ones([4, 2]))),
    ofType,
    /received one of complex64$/,
  ],
  ['a gradient that is gone', withOther(() => disposed([4, 2])), 'ERR_CGFAC_DISPOSED', /one that was disposed of$/],
  ['a gradient of the scale that is gone', withOtherScale(() => disposed([4])), 'ERR_CGFAC_DISPOSED', /disposed of$/],
  [
    'what looks like a gradient',
    withOther(() => ({ shape: [4, 2], dtype: 'float32', dataSync: () => new Float32Array(8) })),
    ofType,
    /^Expected a float32 tensor for the gradient of \S+ but received an object with keys shape, dtype, dataSync$/,
  ],
  [
    'what looks like one more',
    withOtherScale(() => ({ dataId: {}, shape: [4], dtype: 'float32', dataSync: () => new Float32Array(4) })),
    ofType,
    /received an object with keys dataId, shape, dtype, dataSync$/,
  ],
  ['0 for a gradient', withOtherScale(() => 0), ofType, /float32 tensor for the gradient of \S+ but received 0$/],
  ['a gradient that throws', withOther(() => new Proxy({}, { get: thrower })), ofValue, /one that throws: a trap$/],
];

type Losses = readonly [name: string, f: (run: SmallRun) => unknown, code: string, message: RegExp];

const lossIs = 'for the loss that f returns but received';
const losses: readonly Losses[] = [
  ['no f', () => null, ofType, /^Expected a function that returns a scalar for f but received null$/],
  ['a tensor of the caller', (run) => () => run.x, ofType, new RegExp(`^Expected a scalar ${lossIs} .* 16 × 3$`)],
  ['a promise', (run) => async () => run.loss(), ofType, new RegExp(`^Expected a scalar ${lossIs} .*Promise$`)],
  ['a scalar that is gone', () => () => disposed([]), 'ERR_CGFAC_DISPOSED', new RegExp(`${lossIs} one .* of$`)],
  ['a string', () => () => tf.scalar('any'), ofType, new RegExp(`${lossIs} one of string$`)],
  ['a complex scalar', () => () => tf.complex(1, 1), ofType, new RegExp(`${lossIs} one of complex64$`)],
  ['a proxy that throws', () => () => new Proxy({}, { get: thrower }), ofValue, /one that throws: a trap$/],
  ['a constant', () => () => tf.scalar(1), ofValue, /^Expected a loss that depends on a variable .* does not$/],
];

const lists: readonly Losses[] = [
  ['no list', () => 3, ofType, /^Expected an array of variables for varList but received 3$/],
  ['a list of null', () => [null], ofType, /^Expected a variable for varList\[0\] but received null$/],
  [
    'a list of tensors',
    (run) => [run.x],
    ofType,
    /^Expected a variable for varList\[0\] but received an instance of T/,
  ],
  ['an empty list', () => [], ofValue, /^Expected a trainable variable or more for varList but received none$/],
  ['a list of frozen ones', () => [tf.variable(tf.ones([1]), false)], ofValue, /^Expected a trainable variable or /],
  [
    'a list with one that is gone',
    (run) => {
      const gone = tf.variable(tf.ones([1]), true, 'gone');
      gone.dispose();
      return [...run.variables, gone];
    },
    'ERR_CGFAC_DISPOSED',
    /^Expected a variable for varList\[4\] but received gone, which was disposed of$/,
  ],
  ['a list that throws', () => new Proxy([], { get: thrower }), ofValue, /one that throws: a trap$/],
];

/** Both calls that compute a loss. */
const computed: readonly Refused[] = (['computeGradients', 'minimize'] as const).flatMap((call) => {
  const compute = (run: SmallRun, f: unknown, list: unknown) =>
    call === 'minimize'
      ? run.optimizer.minimize(anything(f), false, anything(list))
      : run.optimizer.computeGradients(anything(f), anything(list));
  return [
    ...losses.map(([name, f, code, message]): Refused => {
      return [`${call}: ${name}`, (run) => compute(run, f(run), run.variables), code, message];
    }),
    ...lists.map(([name, list, code, message]): Refused => {
      return [`${call}: ${name}`, (run) => compute(run, run.loss, list(run)), code, message];
    }),
  ];
});

const others: readonly Refused[] = [
  ['setWeights([])', (run) => run.optimizer.setWeights([]), ofValue, /^Expected the tensors iter/],
  ['withAveragedWeights(3)', (run) => run.optimizer.withAveragedWeights(anything(3)), ofType, /^Expected a function /],
  ['a step of averages', (run) => run.optimizer.withAveragedWeights(() => run.train(1)), 'ERR_CGFAC_BUSY', /averages;/],
];

const methods = ['exact', 'cg'] as const;
const expected: Partial<Record<(typeof methods)[number], readonly number[]>> = {};

describe.each(methods)('between computeGradients and applyGradients of %s', (method) => {
  const trained = async (between: (run: SmallRun, gradients: Gradients) => unknown) => {
    const run = smallRun({ method });
    run.train(2);
    const { grads } = run.optimizer.computeGradients(run.loss, [...run.variables]);
    await between(run, grads);
    run.optimizer.applyGradients(grads);
    run.train(2);
    const numbers = await run.numbers();
    run.dispose();
    return numbers;
  };

  beforeEach(async () => {
    expected[method] ??= await trained(() => undefined);
  });

  test.each([...gradients, ...computed, ...others])('%s: refused, and nothing is changed', async (...row) => {
    const [, call, code, message] = row;
    const found = await trained(async (run, grads) => {
      const { numTensors } = tf.memory();
      tf.engine().startScope();
      const error = await errorOf(() => call(run, grads));
      tf.engine().endScope();
      const registered = Object.values(tf.engine().registeredVariables);
      tf.dispose(registered.filter((each) => !run.variables.includes(each)));
      expect(error).toBeInstanceOf(CgfacError);
      expect([error.code, error.message]).toEqual([code, expect.stringMatching(message)]);
      expect(tf.memory().numTensors).toBe(numTensors);
    });
    expect(found).toEqual(expected[method]);
  });

  test.each(['computeGradients', 'minimize'] as const)('what f throws comes out of %s as it is', async (call) => {
    const mine = new RangeError('mine');
    const found = await trained(async ({ optimizer, loss }) => {
      const f = () => {
        loss();
        throw mine;
      };
      expect(await errorOf(() => optimizer[call](f))).toBe(mine);
    });
    expect(found).toEqual(expected[method]);
  });
});

describe('a loss that f did not make', () => {
  test('a variable stays what it was', async () => {
    const { optimizer } = smallRun();
    const w = tf.variable(tf.scalar(2));
    const { numTensors } = tf.memory();
    const { value, grads } = optimizer.computeGradients(() => anything(w), [w]);
    expect([value.dataSync()[0], grads[w.name]?.dataSync()[0]]).toEqual([2, 1]);
    tf.dispose([value, grads]);
    await errorOf(() => optimizer.minimize(() => anything(w), false, [w]));
    expect([w.isDisposed, w.dataSync()[0]]).toEqual([false, 2]);
    expect(tf.memory().numTensors).toBe(numTensors);
  });

  test('a tensor that depends on nothing stays the caller’s', async () => {
    const { optimizer, variables } = smallRun();
    const own = tf.scalar(1);
    const { code } = await errorOf(() => optimizer.minimize(() => own, false, [...variables]));
    expect([code, own.isDisposed]).toEqual([ofValue, false]);
  });
});

test('variables that are gone when their gradients are applied', async () => {
  const { optimizer, variables, loss, train } = smallRun();
  train(1);
  const { grads } = optimizer.computeGradients(loss, [...variables]);
  const before = variables[0].dataSync();
  variables[3].dispose();
  const { code, message } = await errorOf(() => optimizer.applyGradients(grads));
  expect([code, message]).toEqual([
    'ERR_CGFAC_DISPOSED',
    expect.stringContaining(`received ${variables[3].name} disp`),
  ]);
  expect(variables[0].dataSync()).toEqual(before);
});
