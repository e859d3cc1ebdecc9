import * as tf from '@tensorflow/tfjs-core';
import { relativeError, useBackend } from '../support/backends';
import { install, normal, numbers, TOLERANCE, uninstalledAfterEach } from '../support/kernels';
import { NO_THRESHOLDS } from '../support/thresholds';

uninstalledAfterEach();

type Padding = 'valid' | 'same' | number | [[0, 0], [number, number], [number, number], [0, 0]];
type Rounding = 'floor' | 'round' | 'ceil';

/** A convolution by the shapes of its inputs, and what follows it. */
interface Case {
  readonly x: [number, number, number, number];
  readonly filter: [number, number, number, number];
  readonly strides?: [number, number];
  readonly pad?: Padding;
  readonly dilations?: [number, number];
  readonly rounding?: Rounding;
  readonly bias?: number[];
  readonly activation?: 'linear' | 'relu' | 'relu6' | 'elu' | 'sigmoid' | 'leakyrelu' | 'prelu';
  readonly slopes?: number[];
}

interface Result {
  readonly shape: number[];
  readonly values: Float32Array;
}

const made = (shape: number[] | undefined, seed: number) => (shape === undefined ? undefined : normal(shape, seed));

const attributesOf = ({ strides = [1, 1], pad = 'valid', dilations = [1, 1], rounding, activation }: Case) =>
  ({
    strides,
    pad,
    dilations,
    dataFormat: 'NHWC',
    dimRoundingMode: rounding,
    ...(activation === undefined ? {} : { activation, leakyreluAlpha: 0.3 }),
  }) as unknown as tf.NamedAttrMap;

function run(given: Case): Result {
  const result = tf.tidy(() => {
    const inputs = {
      x: normal(given.x, 1),
      filter: normal(given.filter, 2),
      bias: made(given.bias, 3),
      preluActivationWeights: made(given.slopes, 4),
    };
    const kernel = given.activation === undefined ? 'Conv2D' : 'FusedConv2D';
    return tf.engine().runKernel(kernel, inputs as tf.NamedTensorMap, attributesOf(given)) as tf.Tensor;
  });
  return { shape: result.shape, values: numbers(result) };
}

/** Each on the cpu backend, then on the wasm backend with the kernels installed; none left to the stock kernels. */
async function compare(cases: readonly Case[]): Promise<void> {
  await useBackend('cpu');
  const expected = cases.map(run);
  await useBackend('wasm');
  const kernels = install(NO_THRESHOLDS);
  const before = tf.memory().numTensors;
  cases.forEach((each, which) => {
    const { shape, values } = run(each);
    const other = expected[which] as Result;
    const close = values.length === 0 || relativeError(values, other.values) <= TOLERANCE;
    expect({ ...each, shape, close }).toEqual({ ...each, shape: other.shape, close: true });
  });
  expect(tf.memory().numTensors).toBe(before);
  const { Conv2D, FusedConv2D } = kernels.calls;
  const fused = cases.filter(({ activation }) => activation !== undefined).length;
  expect({ Conv2D, FusedConv2D }).toEqual({
    Conv2D: { native: cases.length - fused, stock: 0 },
    FusedConv2D: { native: fused, stock: 0 },
  });
}

const explicit: Padding = [
  [0, 0],
  [0, 1],
  [2, 0],
  [0, 0],
];
const lying: readonly Pick<Case, 'strides' | 'dilations' | 'pad'>[] = (['valid', 'same', 2, explicit] as const).flatMap(
  (pad) => [
    { pad },
    { pad, strides: [2, 2] },
    { pad, strides: [2, 1] },
    { pad, strides: [3, 4] },
    { pad, dilations: [2, 1] },
    { pad, dilations: [2, 3] },
  ],
);

describe('convolutions equal those of the cpu backend', () => {
  it.each([
    [1, 1],
    [3, 3],
    [2, 3],
  ])('%i × %i taps, every stride, dilation and padding, few channels and many', (kh, kw) =>
    compare(
      [1, 2, 3, 4, 6].flatMap((channels) =>
        lying.map((each) => ({ ...each, x: [3, 11, 10, channels], filter: [kh, kw, channels, 7] })),
      ),
    ),
  );

  it('of one sample and of none, of one filter, of one row, of kernels as large as the input', () =>
    compare([
      { x: [1, 9, 9, 5], filter: [3, 3, 5, 8], pad: 'same' },
      { x: [0, 9, 9, 5], filter: [3, 3, 5, 8] },
      { x: [2, 9, 9, 5], filter: [3, 3, 5, 1] },
      { x: [2, 1, 30, 6], filter: [1, 5, 6, 4], pad: 'same' },
      { x: [2, 5, 4, 3], filter: [5, 4, 3, 6] },
      { x: [2, 4, 4, 3], filter: [5, 5, 3, 6] },
    ]));

  it.each(['floor', 'round', 'ceil'] as const)('with a padded size that is rounded by %s', (rounding) =>
    compare(
      ([2, 3] as const).flatMap((step): Case[] => [
        { x: [2, 11, 10, 6], filter: [3, 3, 6, 9], strides: [step, 2], pad: 1, rounding },
        { x: [2, 11, 10, 2], filter: [3, 2, 2, 9], strides: [step, 2], pad: 0, rounding, activation: 'relu' },
      ]),
    ),
  );

  it('where work is cut over threads', () =>
    compare([
      { x: [2, 32, 32, 16], filter: [3, 3, 16, 32], pad: 'same' },
      { x: [8, 28, 28, 1], filter: [5, 5, 1, 32], pad: 'same', activation: 'relu', bias: [32] },
    ]));

  it.each(['linear', 'relu', 'relu6', 'elu', 'sigmoid', 'leakyrelu'] as const)('with a bias and %s', (activation) =>
    compare(
      [[8], [], [1], [1, 1, 8], undefined].map((bias) => ({
        x: [2, 9, 9, 5],
        filter: [3, 3, 5, 8],
        pad: 'same',
        activation,
        bias: bias as number[],
      })),
    ),
  );

  it('with slopes of prelu: one, or one for each filter', () =>
    compare(
      [[8], [], [1], [1, 1, 8]].map((slopes) => ({
        x: [2, 9, 9, 5],
        filter: [3, 3, 5, 8],
        activation: 'prelu',
        bias: [8],
        slopes,
      })),
    ));
});

describe('NaN and infinity', () => {
  const [nan, infinite] = [Number.NaN, Number.POSITIVE_INFINITY];
  const filters = [
    [infinite, 1, 1, 1, 1, 1, 1, 1, 1],
    [1, 1, 1, 1, 1, 1, 1, nan, 1],
    [1, 0, 1, 1, 1, 1, 1, 1, 1],
  ];
  const run3 = (filter: number[], at: number | undefined, activation: 'relu' | 'elu' | 'sigmoid') =>
    tf.tidy(() => {
      const x = Array.from({ length: 30 }, (_, i) => (i === 13 && at !== undefined ? at : (i % 7) - 3));
      return numbers(
        tf.fused.conv2d({
          x: tf.tensor4d(x, [1, 5, 6, 1]),
          filter: tf.tensor4d(filter, [3, 3, 1, 1]),
          strides: 1,
          pad: 'same',
          activation,
          bias: tf.tensor1d([0.5]),
        }),
      );
    });
  const all = () =>
    filters.flatMap((filter) =>
      [undefined, nan, infinite, -infinite].flatMap((at) =>
        (['relu', 'elu', 'sigmoid'] as const).flatMap((activation) => [...run3(filter, at, activation)]),
      ),
    );

  it('are where the cpu backend has them: at the edge, a tap outside of the input counts for nothing', async () => {
    await useBackend('cpu');
    const expected = all();
    await useBackend('wasm');
    install(NO_THRESHOLDS);
    all().forEach((each, at) => {
      if (Number.isFinite(expected[at])) expect(each).toBeCloseTo(expected[at] as number, 5);
      else expect(each).toBe(expected[at]);
    });
  });
});

describe('what goes where', () => {
  beforeEach(() => useBackend('wasm'));
  const small: Case = { x: [1, 6, 6, 2], filter: [3, 3, 2, 2], activation: 'relu', bias: [2] };

  it('small convolutions to the stock kernels, but for those that they do not compute', () => {
    const kernels = install();
    run(small);
    run({ x: small.x, filter: small.filter });
    expect(kernels.calls).toMatchObject({ Conv2D: { native: 0, stock: 1 }, FusedConv2D: { native: 0, stock: 1 } });
    run({ ...small, bias: [] });
    run({ ...small, rounding: 'ceil', pad: 0 });
    run({ x: small.x, filter: small.filter, rounding: 'ceil', pad: 0 });
    run({ x: [4, 28, 28, 4], filter: [3, 3, 4, 16] });
    expect(kernels.calls).toMatchObject({ Conv2D: { native: 2, stock: 1 }, FusedConv2D: { native: 2, stock: 1 } });
  });

  it('slopes for each place, and another activation, to the stock kernel', () => {
    const kernels = install(NO_THRESHOLDS);
    run({ ...small, activation: 'prelu', slopes: [4, 4, 2] });
    expect(kernels.calls.FusedConv2D).toEqual({ native: 0, stock: 1 });
    expect(() => run({ ...small, activation: 'tanh' as 'relu' })).toThrow('tanh activation not yet supported');
    expect(kernels.calls.FusedConv2D).toEqual({ native: 0, stock: 2 });
  });

  it('channels first to the stock kernel, which refuses them', () => {
    install(NO_THRESHOLDS);
    const [x, filter] = [normal([1, 2, 6, 6], 1) as tf.Tensor4D, normal([3, 3, 2, 2], 2) as tf.Tensor4D];
    const call = () => tf.conv2d(x, filter, 1, 'valid', 'NCHW');
    expect(call).toThrow("does not support dataFormat:'channelsFirst'");
    tf.dispose([x, filter]);
  });
});
