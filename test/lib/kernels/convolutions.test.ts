import {
  type Convolution,
  type ConvolutionGeometry,
  type ConvolutionGradient,
  convolution,
  convolutionGradient,
  type PoolingGradient,
  poolingGradient,
} from '../../../lib/kernels/convolutions';

/** Two taps over a row of three inputs: y[o] = x[o] w[0] + x[o + 1] w[1]. */
const geometry: ConvolutionGeometry = {
  batch: 1,
  channels: 1,
  filters: 1,
  depthwise: false,
  input: [1, 1, 3],
  output: [1, 1, 2],
  kernel: [1, 1, 2],
  stride: [1, 1, 1],
  dilation: [1, 1, 1],
  padding: [0, 0, 0],
};
const arrays = (gradientOf: 'kernel' | 'input'): ConvolutionGradient => ({
  gradientOf,
  x: Float32Array.of(1, 2, 3),
  dy: Float32Array.of(10, 100),
  w: Float32Array.of(4, 5),
});

test.each([false, true])('the gradient of what is asked for, depthwise: %s', (depthwise) => {
  const [kernel, input] = [arrays('kernel'), arrays('input')];
  convolutionGradient({ ...geometry, depthwise }, kernel);
  expect([...kernel.w]).toEqual([210, 320]); // Σ_o dy[o] x[o + k]
  convolutionGradient({ ...geometry, depthwise }, input);
  expect([...input.x]).toEqual([40, 450, 500]); // dy[i] w[0] + dy[i − 1] w[1]
});

const numbers = (count: number) => new Float32Array(count);
const refused: readonly [string, Partial<ConvolutionGeometry & ConvolutionGradient>, string][] = [
  ['an x that is too short', { x: numbers(2) }, 'ERR_CGFAC_SHAPE_MISMATCH'],
  ['a dy that is too long', { dy: numbers(3) }, 'ERR_CGFAC_SHAPE_MISMATCH'],
  ['a w that is too short', { w: numbers(1) }, 'ERR_CGFAC_SHAPE_MISMATCH'],
  ['an array of another type', { dy: new Int32Array(2) as unknown as Float32Array }, 'ERR_CGFAC_SHAPE_MISMATCH'],
  ['no samples', { batch: 0, x: numbers(0), dy: numbers(0) }, 'ERR_CGFAC_INVALID_ARG_VALUE'],
  ['no outputs', { output: [1, 1, 0], dy: numbers(0) }, 'ERR_CGFAC_INVALID_ARG_VALUE'],
  ['a stride of 0', { stride: [1, 1, 0] }, 'ERR_CGFAC_INVALID_ARG_VALUE'],
  ['a dilation of 0', { dilation: [0, 1, 1] }, 'ERR_CGFAC_INVALID_ARG_VALUE'],
  ['two extents', { input: [1, 3] as unknown as [number, number, number] }, 'ERR_CGFAC_SHAPE_MISMATCH'],
  ['sizes whose product wraps around', { batch: 2 ** 31, channels: 2 ** 31 }, 'ERR_CGFAC_INVALID_ARG_VALUE'],
  [
    'a depthwise convolution with filters left over',
    { depthwise: true, channels: 2, filters: 3, x: numbers(6), dy: numbers(6), w: numbers(6) },
    'ERR_CGFAC_SHAPE_MISMATCH',
  ],
  [
    'a depthwise convolution in three dimensions',
    { depthwise: true, input: [2, 1, 3], output: [2, 1, 2], x: numbers(6), dy: numbers(4) },
    'ERR_CGFAC_SHAPE_MISMATCH',
  ],
];

test.each(refused)('%s: refused, and nothing is written', (_, wrong, code) => {
  const given = { ...geometry, ...arrays('kernel'), ...wrong };
  const before = [...given.w];
  expect(() => convolutionGradient(given, given)).toThrow(expect.objectContaining({ name: 'CgfacError', code }));
  expect([...given.w]).toEqual(before);
});

const forward = (): Convolution => ({
  x: Float32Array.of(1, 2, 3),
  w: Float32Array.of(4, -5),
  out: numbers(2),
  bias: { values: Float32Array.of(5), shape: [1, 1, 1] },
  activation: 'leakyrelu',
  slope: 0.5,
  slopes: undefined,
});
const pooling = (kind: 'max' | 'average'): PoolingGradient => ({
  kind,
  x: Float32Array.of(1, 3, 3),
  dy: Float32Array.of(10, 100),
  dx: numbers(3),
});

test('a convolution, its bias and its activation', () => {
  const given = forward();
  convolution(geometry, given);
  expect([...given.out]).toEqual([-0.5, -1]); // 5 + 4 − 10 and 5 + 8 − 15, halved
});

test('the gradients of pooling: to the last of equal numbers, or to all of them', () => {
  const [most, mean] = [pooling('max'), pooling('average')];
  poolingGradient(geometry, most);
  expect([...most.dx]).toEqual([0, 10, 100]);
  poolingGradient(geometry, mean);
  expect([...mean.dx]).toEqual([5, 55, 50]);
});

const refusedForward: readonly [string, Partial<ConvolutionGeometry & Convolution>, string][] = [
  ['an x that is too short', { x: numbers(2) }, 'ERR_CGFAC_SHAPE_MISMATCH'],
  ['a w that is too long', { w: numbers(3) }, 'ERR_CGFAC_SHAPE_MISMATCH'],
  ['a bias for other filters', { bias: { values: numbers(2), shape: [1, 1, 2] } }, 'ERR_CGFAC_SHAPE_MISMATCH'],
  ['prelu without slopes', { activation: 'prelu' }, 'ERR_CGFAC_SHAPE_MISMATCH'],
  ['another activation', { activation: 'swish' as 'relu' }, 'ERR_CGFAC_INVALID_ARG_VALUE'],
  ['a stride of 0', { stride: [1, 1, 0] }, 'ERR_CGFAC_INVALID_ARG_VALUE'],
  ['no filters', { filters: 0, w: numbers(0) }, 'ERR_CGFAC_INVALID_ARG_VALUE'],
];

test.each(refusedForward)('a convolution with %s: refused, and nothing is written', (_, wrong, code) => {
  const given = { ...geometry, ...forward(), ...wrong };
  expect(() => convolution(given, given)).toThrow(expect.objectContaining({ name: 'CgfacError', code }));
  expect([...given.out]).toEqual([0, 0]);
});

const refusedPooling: readonly [string, Partial<ConvolutionGeometry & PoolingGradient>, string][] = [
  ['an x that is too short', { x: numbers(2) }, 'ERR_CGFAC_SHAPE_MISMATCH'],
  ['a dy that is too long', { dy: numbers(3) }, 'ERR_CGFAC_SHAPE_MISMATCH'],
  ['windows of nothing', { kernel: [1, 0, 2] }, 'ERR_CGFAC_INVALID_ARG_VALUE'],
  ['a dilation of 0', { dilation: [1, 0, 1] }, 'ERR_CGFAC_INVALID_ARG_VALUE'],
];

test.each(refusedPooling)('a gradient of pooling with %s: refused, and nothing is written', (_, wrong, code) => {
  const given = { ...geometry, ...pooling('max'), ...wrong };
  expect(() => poolingGradient(given, given)).toThrow(expect.objectContaining({ name: 'CgfacError', code }));
  expect([...given.dx]).toEqual([0, 0, 0]);
});
