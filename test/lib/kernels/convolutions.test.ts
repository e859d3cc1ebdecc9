import {
  type ConvolutionGeometry,
  type ConvolutionGradient,
  convolutionGradient,
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
