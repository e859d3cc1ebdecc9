// Gradients that were changed after computeGradients, and those that this optimizer did not compute.
import * as tf from '@tensorflow/tfjs-core';
import { type CgfacOptimizer, type CgfacOptions, cgfac } from '../../../lib/tfjs';
import { errorOf, normal, quietScopes, relativeError } from '../support/backends';
import { cg, oneHot, oneLayer, rowsOf, SEED, withOne } from '../support/one-layer';
import { referenceDirection } from '../support/reference';

const warnings = () => (console.warn as jest.Mock).mock.calls.map(([text]) => String(text));
quietScopes();

// As in optimizer.test.ts: what the float32 floor of the solver leaves.
const SOLVED = 5e-3;
const exact = {
  damping: 0.1,
  tolerance: 0,
  maxIterations: 200,
  warmStart: 'none',
  seed: SEED,
  stepRule: 'kl-clip',
  klClip: 1e6,
} as const;

const batch = (seed: number) => [normal([8, 4], seed), oneHot(8, seed + 1)] as const;
const numbers = (variables: readonly tf.Variable[]) => variables.map((v) => Array.from(v.dataSync()));
type Layer = ReturnType<typeof oneLayer>;
type Gradients = tf.NamedTensorMap;

/** What applying gradients changed, the kernel first. */
function changed(optimizer: CgfacOptimizer, { w, b }: Layer, gradients: Gradients): number[] {
  const before = numbers([w, b]).flat();
  optimizer.applyGradients(gradients);
  return numbers([w, b])
    .flat()
    .map((value, at) => value - (before[at] ?? 0));
}

const mapped = (gradients: Gradients, change: (gradient: tf.Tensor, name: string) => tf.Tensor): Gradients =>
  Object.fromEntries(Object.entries(gradients).map(([name, gradient]) => [name, change(gradient, name)]));
const mean = (one: Gradients, other: Gradients) =>
  mapped(one, (gradient, name) => tf.div(tf.add(gradient, other[name] as tf.Tensor), 2));
const flat = ({ w, b }: Layer, gradients: Gradients) => [
  ...rowsOf(gradients[w.name] as tf.Tensor),
  ...rowsOf(tf.reshape(gradients[b.name] as tf.Tensor, [1, -1])),
];
const close = (found: number[], direction: number[][]) =>
  expect(
    relativeError(
      found,
      direction.flat().map((value) => -value),
    ),
  ).toBeLessThan(SOLVED);

describe('gradients of computeGradients', () => {
  it.each([
    ['averaged over two calls', (one: Gradients, other: Gradients) => mean(one, other)],
    ['clipped', (_: Gradients, other: Gradients) => mapped(other, (each) => tf.clipByValue(each, -0.05, 0.05))],
  ])('%s take the step of the rows of the last one', (_, made) => {
    const layer = oneLayer();
    const optimizer = cg(exact);
    const [one, other] = [batch(3), batch(5)].map(([x, y]) => optimizer.computeGradients(layer.loss(x, y)).grads);
    const { sampledGrads } = layer.rows(...batch(5), 0);
    const gradients = made(one as Gradients, other as Gradients);
    const block = { inputs: withOne(rowsOf(batch(5)[0])), outputGrads: sampledGrads, samples: 8, damping: 0.1 };
    const direction = referenceDirection(block, flat(layer, gradients));
    close(changed(optimizer, layer, gradients), direction);
    expect(optimizer.lastStep?.kept).toBeUndefined();
    expect(warnings()).toEqual([]);
  });
});

describe('gradients that were not captured for the step', () => {
  const others: readonly [string, (layer: Layer, captured: Gradients) => Gradients][] = [
    ['those of tf.variableGrads', (layer) => tf.variableGrads(layer.loss(...batch(5))).grads],
    ['those that were applied before', (_, captured) => captured],
  ];
  it.each(others)('%s are preconditioned with the factors that are kept', (_, made) => {
    const layer = oneLayer();
    const optimizer = cg(exact);
    const { sampledGrads } = layer.rows(...batch(3), 0);
    const { grads } = optimizer.computeGradients(layer.loss(...batch(3)));
    optimizer.applyGradients(grads);
    const gradients = made(layer, grads);
    const block = { inputs: withOne(rowsOf(batch(3)[0])), outputGrads: sampledGrads, samples: 8, damping: 0.1 };
    for (let use = 0; use < 2; use++)
      close(changed(optimizer, layer, gradients), referenceDirection(block, flat(layer, gradients)));
    expect(optimizer.lastStep).toMatchObject({ kept: true, iteration: 2, heads: [], summary: { refreshed: false } });
    expect(optimizer.iterations).toBe(3);
    expect(warnings()).toEqual([expect.stringContaining('computeGradients(f) in the place of tf.variableGrads(f)')]);
  });

  it.each([{}, { preset: 'safe' }, { method: 'cg' }, { method: 'kfac' }] as const)(
    'have the length of the last captured step: %j',
    (options) => {
      const layer = oneLayer();
      const optimizer = cgfac({ seed: 1, ...options } as CgfacOptions);
      const loss = layer.loss(...batch(3));
      for (let step = 0; step < 3; step++) optimizer.minimize(loss);
      const captured = optimizer.lastStep?.summary?.stepSize;
      const before = loss().dataSync()[0] ?? Number.NaN;
      for (let step = 0; step < 3; step++) optimizer.applyGradients(tf.variableGrads(loss).grads);
      expect(loss().dataSync()[0]).toBeLessThan(before);
      expect(optimizer.lastStep).toMatchObject({ kept: true, summary: { skippedSteps: { total: 0 } } });
      expect(optimizer.lastStep?.summary?.stepSize).toBeCloseTo(captured ?? Number.NaN, 6);
      optimizer.minimize(loss);
      expect(optimizer.lastStep?.kept).toBeUndefined();
    },
  );

  it('go to lone variables, too, and to no layer without any', () => {
    const layer = oneLayer();
    const scale = tf.variable(tf.ones([3]));
    const optimizer = cgfac({ seed: 1 });
    const [x, y] = batch(3);
    const loss = () => tf.losses.softmaxCrossEntropy(y, tf.mul(scale, tf.tanh(layer.logits(x)))) as tf.Scalar;
    optimizer.minimize(loss);
    const { grads } = tf.variableGrads(loss);
    const before = numbers([layer.w, layer.b]);
    optimizer.applyGradients({ [scale.name]: grads[scale.name] as tf.Tensor });
    expect(numbers([layer.w, layer.b])).toEqual(before);
    expect(optimizer.lastStep).toMatchObject({ kept: true, lone: [{ name: scale.name }] });
    optimizer.applyGradients(grads);
    expect(numbers([layer.w, layer.b])).not.toEqual(before);
    expect(optimizer.lastStep?.summary?.layers).toMatchObject([{ name: layer.w.name }, { name: scale.name }]);
  });

  it('that are not finite skip the step, and the third in a row is an error', async () => {
    const layer = oneLayer();
    const optimizer = cgfac({ seed: 1 });
    optimizer.minimize(layer.loss(...batch(3)));
    const before = numbers([layer.w, layer.b]);
    const { grads } = tf.variableGrads(layer.loss(...batch(3)));
    const spoilt = { ...grads, [layer.b.name]: tf.fill([3], Number.NaN) };
    for (let step = 0; step < 2; step++) {
      optimizer.applyGradients(spoilt);
      const skipped = `the gradient of ${layer.b.name} is not finite`;
      expect(optimizer.lastStep).toMatchObject({ kept: true, summary: { skipped } });
    }
    expect((await errorOf(() => optimizer.applyGradients(spoilt))).code).toBe('ERR_CGFAC_DIVERGED');
    expect(numbers([layer.w, layer.b])).toEqual(before);
  });

  it('keep no tensors', () => {
    const layer = oneLayer();
    const optimizer = cgfac({ seed: 1 });
    optimizer.minimize(layer.loss(...batch(3)));
    const { grads } = tf.variableGrads(layer.loss(...batch(3)));
    const { numTensors } = tf.memory();
    for (let step = 0; step < 3; step++) optimizer.applyGradients(grads);
    expect(tf.memory().numTensors).toBe(numTensors);
    optimizer.dispose();
  });
});

describe('what no step can be made of', () => {
  const refused: readonly [string, CgfacOptions, (gradients: Gradients, layer: Layer) => Gradients, RegExp][] = [
    ['none', {}, () => ({}), /^Expected gradients for applyGradients but received none;/],
    [
      'those of a variable that no step has met',
      {},
      (gradients) => ({ ...gradients, stranger: tf.scalar(1) }),
      /^Expected gradients of variables that a step has met for applyGradients but received one of stranger;/,
    ],
    [
      'those of a kernel without its bias',
      {},
      (gradients, { w }) => ({ [w.name]: gradients[w.name] as tf.Tensor }),
      /^Expected a gradient of .* for applyGradients but received none;/,
    ],
    [
      "others with stepRule 'quadratic'",
      { stepRule: 'quadratic' },
      (gradients) => gradients,
      /^Expected gradients of computeGradients with stepRule 'quadratic', which needs sampled rows, for applyGradients/,
    ],
  ];
  it.each(refused)('%s', async (_, options, made, message) => {
    const layer = oneLayer();
    const optimizer = cgfac({ seed: 1, ...options });
    optimizer.minimize(layer.loss(...batch(3)));
    const before = numbers([layer.w, layer.b]);
    const { grads } = tf.variableGrads(layer.loss(...batch(3)));
    const error = await errorOf(() => optimizer.applyGradients(made(grads, layer)));
    expect(error.code).toBe('ERR_CGFAC_TFJS_NO_CAPTURE');
    expect(error.message).toMatch(message);
    expect(error.message).toMatch(/; call minimize\(f\), or optimizer\.computeGradients\(f\) in the place of tf\./);
    expect(numbers([layer.w, layer.b])).toEqual(before);
    expect(optimizer.iterations).toBe(1);
  });

  it('others after a loss that was not finite, and after loading: nothing is known of theirs', async () => {
    const layer = oneLayer();
    const optimizer = cgfac({ seed: 1 });
    const loss = layer.loss(...batch(3));
    optimizer.minimize(() => tf.mul(loss(), Number.NaN) as tf.Scalar);
    const { grads } = tf.variableGrads(loss);
    expect((await errorOf(() => optimizer.applyGradients(grads))).code).toBe('ERR_CGFAC_TFJS_NO_CAPTURE');
    optimizer.minimize(loss);
    const weights = await optimizer.getWeights();
    const loaded = cgfac({ seed: 1 });
    await loaded.setWeights(weights);
    expect((await errorOf(() => loaded.applyGradients(grads))).code).toBe('ERR_CGFAC_TFJS_NO_CAPTURE');
    loaded.minimize(loss);
    loaded.applyGradients(grads);
    expect(loaded.lastStep?.kept).toBe(true);
  });

  it('a computation whose loss is not finite is a step that is skipped, whatever gradients are given', () => {
    const layer = oneLayer();
    const optimizer = cgfac({ seed: 1 });
    const loss = layer.loss(...batch(3));
    optimizer.minimize(loss);
    const before = numbers([layer.w, layer.b]);
    optimizer.computeGradients(() => tf.mul(loss(), Number.NaN) as tf.Scalar);
    optimizer.applyGradients(tf.variableGrads(loss).grads);
    expect(optimizer.lastStep?.summary?.skipped).toBe('the loss is NaN');
    expect(numbers([layer.w, layer.b])).toEqual(before);
  });
});
