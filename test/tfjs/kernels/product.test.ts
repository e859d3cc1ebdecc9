import * as tf from '@tensorflow/tfjs-core';
import type { InstalledKernels } from '../../../lib/tfjs';
import { errorOf, relativeError, useBackend } from '../support/backends';
import { install, normal, numbers, TOLERANCE, uninstalledAfterEach } from '../support/kernels';

uninstalledAfterEach();

const boolean = [false, true];
const transposes = boolean.flatMap((transposeA) => boolean.map((transposeB) => ({ transposeA, transposeB })));
type Transposes = (typeof transposes)[number];
const [rows, inner, cols] = [34, 220, 35] as const;
const shapeA = (batch: number[], { transposeA }: Transposes) => [
  ...batch,
  ...(transposeA ? [inner, rows] : [rows, inner]),
];
const shapeB = (batch: number[], { transposeB }: Transposes) => [
  ...batch,
  ...(transposeB ? [cols, inner] : [inner, cols]),
];
const called = ({ transposeA, transposeB }: Transposes) => `${transposeA ? 'Aᵀ' : 'A'} ${transposeB ? 'Bᵀ' : 'B'}`;

/** Runs cases on the cpu backend, then on the wasm backend with the kernels installed, and compares. */
async function compare(
  cases: readonly { readonly name: string; readonly cpu: () => tf.Tensor; readonly wasm: () => tf.Tensor }[],
) {
  await useBackend('cpu');
  const expected = cases.map(({ cpu }) => {
    const result = tf.tidy(cpu);
    return { shape: result.shape, values: numbers(result) };
  });
  await useBackend('wasm');
  const kernels = install();
  cases.forEach(({ name, wasm }, which) => {
    const tensors = tf.memory().numTensors;
    const result = tf.tidy(wasm);
    const error = relativeError(result.dataSync(), expected[which]?.values ?? []);
    // written so that NaN fails, and the name shows
    expect({ name, shape: result.shape, close: error <= TOLERANCE }).toEqual({
      name,
      shape: expected[which]?.shape,
      close: true,
    });
    result.dispose();
    expect(tf.memory().numTensors).toBe(tensors);
  });
  expect(kernels.nativeProducts).toBe(cases.length);
}

const at = (shape: number[], seed: number, batch: number[]) =>
  tf.broadcastTo(normal(shape, seed), [...batch, ...shape.slice(-2)]);

describe('products equal those of the cpu backend', () => {
  const batches: readonly [number[], number[], number[]][] = [
    [[], [], []],
    [[3], [3], [3]],
    [[3], [1], [3]],
    [[1], [3], [3]],
    [[3], [], [3]],
    [[], [3], [3]],
    [
      [2, 3],
      [2, 3],
      [2, 3],
    ],
    [
      [2, 1],
      [2, 3],
      [2, 3],
    ],
    [
      [2, 1],
      [1, 3],
      [2, 3],
    ],
    [[2, 3], [3], [2, 3]],
  ];

  it.each(transposes)(
    'tf.matMul, transposes $transposeA and $transposeB, every broadcast of batch dimensions',
    async (flags) => {
      const { transposeA, transposeB } = flags;
      await compare(
        batches.map(([a, b, batch]) => ({
          name: `[${a}] and [${b}]`,
          // both operands written out: the cpu backend takes the wrong matrices where both broadcast
          cpu: () => tf.matMul(at(shapeA(a, flags), 1, batch), at(shapeB(b, flags), 2, batch), transposeA, transposeB),
          wasm: () => tf.matMul(normal(shapeA(a, flags), 1), normal(shapeB(b, flags), 2), transposeA, transposeB),
        })),
      );
    },
  );

  const activations = ['linear', 'relu', 'relu6', 'prelu', 'leakyrelu', 'sigmoid', 'elu'] as const;
  const biases: readonly (number[] | undefined)[] = [
    undefined,
    [cols],
    [1],
    [1, cols],
    [rows, 1],
    [rows, cols],
    [3, rows, cols],
    [3, 1, 1],
  ];
  const slopes: readonly number[][] = [[cols], [1], [rows, cols], [rows, 1]];
  const fusedBatches = [[1, 1] as const, [3, 3] as const, [3, 1] as const, [1, 3] as const];

  const unfused: Readonly<Record<(typeof activations)[number], (z: tf.Tensor, slopes: tf.Tensor) => tf.Tensor>> = {
    linear: (z) => z,
    relu: tf.relu,
    relu6: tf.relu6,
    prelu: tf.prelu,
    leakyrelu: (z) => tf.leakyRelu(z, 0.3),
    sigmoid: tf.sigmoid,
    elu: tf.elu,
  };

  const fusedCases = (flags: Transposes) =>
    fusedBatches.flatMap(([a, b]) => {
      const batch = [Math.max(a, b)];
      const { transposeA, transposeB } = flags;
      let known: Float32Array | undefined;
      const product = () => {
        known ??= numbers(
          tf.matMul(at(shapeA([a], flags), 1, batch), at(shapeB([b], flags), 2, batch), transposeA, transposeB),
        );
        return tf.tensor(known, [...batch, rows, cols]);
      };
      return biases.flatMap((bias) => {
        if (bias?.[0] === 3 && batch[0] !== 3) return [];
        return activations.flatMap((activation) =>
          (activation === 'prelu' ? slopes : [undefined]).map((slope) => {
            const options = { ...flags, activation, leakyreluAlpha: 0.3 };
            return {
              name: `batches ${a} and ${b}, bias [${bias}], ${activation} [${slope}]`,
              cpu: () => {
                const z = tf.add(product(), bias ? normal(bias, 3) : 0);
                return unfused[activation](z, normal(slope ?? [1], 4));
              },
              wasm: () =>
                tf.fused.matMul({
                  a: normal(shapeA([a], flags), 1),
                  b: normal(shapeB([b], flags), 2),
                  ...options,
                  ...(bias && { bias: normal(bias, 3) }),
                  ...(slope && { preluActivationWeights: normal(slope, 4) }),
                }),
            };
          }),
        );
      });
    });

  it.each(transposes)('tf.fused.matMul, transposes $transposeA and $transposeB, every bias and activation', (flags) =>
    compare(fusedCases(flags)),
  );

  // [rows, inner, cols]: in blocks of columns, in blocks of rows, one row, one column, a long sum
  const sizes: readonly [number, number, number][] = [
    [130, 140, 517],
    [1031, 40, 90],
    [1, 700, 900],
    [900, 700, 1],
    [7, 9000, 11],
  ];
  it.each(sizes)('%i × %i × %i, with a bias for each place', async (m, k, n) => {
    const product = ({ transposeA, transposeB }: Transposes) =>
      tf.fused.matMul({
        a: normal(transposeA ? [k, m] : [m, k], 1),
        b: normal(transposeB ? [n, k] : [k, n], 2),
        transposeA,
        transposeB,
        bias: normal([m, n], 3),
        preluActivationWeights: normal([m, 1], 4),
        activation: 'prelu',
      });
    await compare(
      transposes.map((flags) => ({ name: called(flags), cpu: () => product(flags), wasm: () => product(flags) })),
    );
  });

  it('with NaN and infinity in the data', async () => {
    await useBackend('wasm');
    const [a, b] = [tf.fill([100, 100], Number.NaN), tf.fill([100, 100], Number.POSITIVE_INFINITY)];
    const ones = tf.ones([100, 100]);
    install();
    for (const activation of activations.filter((name) => name !== 'prelu')) {
      expect(numbers(tf.fused.matMul({ a, b: ones, activation })).every(Number.isNaN)).toBe(true);
    }
    expect(numbers(tf.matMul(ones, b)).every((x) => x === Number.POSITIVE_INFINITY)).toBe(true);
    // the memory of an output may hold NaN
    numbers(tf.fill([100, 100], Number.NaN));
    expect(numbers(tf.matMul(ones, ones)).every((x) => x === 100)).toBe(true);
    tf.dispose([a, b, ones]);
  });
});

describe('what goes where', () => {
  beforeEach(() => useBackend('wasm'));
  const product = (m: number, k: number, n: number, transposeB = false) =>
    tf.tidy(() => tf.matMul(tf.ones([m, k]), transposeB ? tf.ones([n, k]) : tf.ones([k, n]), false, transposeB));
  const counts = ({ nativeProducts, stockProducts }: InstalledKernels) => [nativeProducts, stockProducts];

  it('small products to the stock kernel, large ones to this package, transposed ones sooner', () => {
    const kernels = install();
    product(4, 5, 6).dispose();
    expect(counts(kernels)).toEqual([0, 1]);
    product(100, 100, 100).dispose();
    expect(counts(kernels)).toEqual([1, 1]);
    product(20, 20, 20).dispose();
    expect(counts(kernels)).toEqual([1, 2]);
    product(20, 20, 20, true).dispose();
    expect(counts(kernels)).toEqual([2, 2]);
  });

  it('a batch by the flops of all of it', () => {
    const kernels = install();
    tf.tidy(() => tf.matMul(tf.ones([50, 20, 20]), tf.ones([50, 20, 20]))).dispose();
    expect(counts(kernels)).toEqual([1, 0]);
  });

  it('small products that the stock kernel does not compute, here', () => {
    const kernels = install();
    const [a, b] = [normal([2, 1, 3, 4], 1), normal([1, 3, 4, 2], 2)];
    expect(numbers(tf.matMul(a, b))).toHaveLength(2 * 3 * 3 * 2);
    const bias = tf.tensor2d([[1], [2]]);
    expect(Array.from(numbers(tf.fused.matMul({ a: tf.ones([2, 3]), b: tf.ones([3, 2]), bias })))).toEqual([
      4, 4, 5, 5,
    ]);
    expect(counts(kernels)).toEqual([2, 0]);
  });

  it('empty products to the stock kernel, with what it gives', () => {
    const kernels = install();
    const empty = product(0, 1000, 1000);
    expect(empty.shape).toEqual([0, 1000]);
    expect(counts(kernels)).toEqual([0, 1]);
  });

  it('integers to the stock kernel, with its error', async () => {
    const integers = () => tf.matMul(tf.ones([200, 200], 'int32'), tf.ones([200, 200], 'int32'));
    const stock = (await errorOf(integers)).message;
    const kernels = install();
    expect((await errorOf(integers)).message).toBe(stock);
    expect(counts(kernels)).toEqual([0, 1]);
  });

  it('shapes that do not fit are an error of TensorFlow.js', async () => {
    install();
    const product = () => tf.matMul(tf.ones([200, 300]), tf.ones([400, 200]));
    expect((await errorOf(product)).message).toMatch(/inner shapes/);
  });
});
