/** How the windows of convolutions move: their geometry, as TensorFlow.js has it, data NHWC. */
import { CgfacError } from '../../base/errors';
import { elementsOf } from '../../base/reading';
import { oneOf, positiveInteger, readOptions, typeError } from '../../base/validate';
import type { NativePatches } from '../../native/shapes';

/**
 * The zeros around data: `'valid'` none, `'same'` as many as give an output for each stride, more of them behind than
 * before where their number is odd; or how many before and behind, for each axis.
 */
export type Padding = 'valid' | 'same' | readonly (readonly [before: number, behind: number])[];

/** A window's options, one number for each axis in the order of the data's own. */
export interface WindowOptions {
  /** Extents of the kernel: `[kh, kw]`; of data with three axes `[kd, kh, kw]`. */
  readonly kernelSize: readonly number[];
  /** Steps between two outputs. Default: 1 for each axis. */
  readonly strides?: readonly number[];
  /** Steps between two taps of the kernel. Default: 1 for each axis. */
  readonly dilations?: readonly number[];
  /** The zeros around the data. Default: 'valid'. */
  readonly padding?: Padding;
}

/** The names of {@link WindowOptions}. */
export const windowNames = ['kernelSize', 'strides', 'dilations', 'padding'];

/** Options of convolutions that are arrays with a number for each axis. */
const arrayNames: readonly string[] = ['inputShape', 'outputShape', 'kernelSize', 'strides', 'dilations'];

function ownArrays(name: string, value: unknown): unknown {
  if (arrayNames.includes(name)) return elementsOf(value, name) ?? value;
  if (name !== 'padding') return value;
  const axes = elementsOf(value, name);
  return axes ? axes.map((axis, index) => elementsOf(axis, `padding[${index}]`) ?? axis) : value;
}

/** Reads the options of a convolution as {@link readOptions} does, the elements of their arrays as well. */
export function readConvolution<T extends WindowOptions>(given: unknown, owner: string, names: readonly string[]): T {
  const read = Object.entries(readOptions(given as T, owner, names)) as [string, unknown][];
  return Object.fromEntries(read.map(([name, value]) => [name, ownArrays(name, value)])) as unknown as T;
}

/** Data with so many axes before the channels: images, volumes. */
type Axes = 2 | 3;

/** Positive integers, one for each of so many axes. */
export function extents(value: unknown, name: string, count: number): number[] {
  const given = elementsOf(value, name);
  if (given?.length !== count) throw typeError(`${count} positive integers`, name, value);
  return given.map((each, axis) => positiveInteger(each, `${name}[${axis}]`));
}

const perAxis = (value: unknown, name: string, axes: number) =>
  value === undefined ? new Array<number>(axes).fill(1) : extents(value, name, axes);

/** Zeros before an axis and windows along it. */
interface Along {
  readonly pad: number;
  readonly out: number;
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && Number(value) >= 0;

function along(size: number, kernel: number, stride: number, dilation: number, padding: unknown, axis: number): Along {
  const window = (kernel - 1) * dilation + 1;
  const byAxis = elementsOf(padding, 'padding');
  if (byAxis) {
    const [before, behind] = elementsOf(byAxis[axis], `padding[${axis}]`) ?? [];
    if (!isCount(before) || !isCount(behind))
      throw typeError('the zeros [before, behind] of each axis', `padding[${axis}]`, byAxis[axis]);
    return { pad: before, out: Math.floor((size + before + behind - window) / stride) + 1 };
  }
  if (oneOf(padding, 'padding', ['valid', 'same']) === 'valid')
    return { pad: 0, out: Math.floor((size - window) / stride) + 1 };
  const out = Math.ceil(size / stride);
  return { pad: Math.floor(Math.max(0, (out - 1) * stride + window - size) / 2), out };
}

/** Numbers of three axes: those before the given ones are of extent `fill`. */
const threeAxes = (numbers: readonly number[], fill: number) => [
  ...new Array<number>(3 - numbers.length).fill(fill),
  ...numbers,
];

/** Extents in the words of messages. */
export const inWords = (numbers: readonly number[]) => numbers.join('×');

function tooLarge(kernel: readonly number[], dilations: readonly number[], size: readonly number[]): CgfacError {
  const dilated = dilations.some((dilation) => dilation > 1) ? ` with dilations ${inWords(dilations)}` : '';
  return new CgfacError(
    'ERR_CGFAC_INVALID_ARG_VALUE',
    `Expected a window that the data of ${inWords(size)} holds for kernelSize but received ` +
      `${inWords(kernel)}${dilated}`,
  );
}

/**
 * The windows over data.
 *
 * @param size - The data's extents, the channels last.
 */
export function windowsOver(size: readonly number[], options: WindowOptions, axes: Axes): NativePatches {
  const kernel = extents(options.kernelSize, 'kernelSize', axes);
  const strides = perAxis(options.strides, 'strides', axes);
  const dilations = perAxis(options.dilations, 'dilations', axes);
  const places = kernel.map((extent, axis) =>
    along(size[axis] ?? 0, extent, strides[axis] ?? 1, dilations[axis] ?? 1, options.padding ?? 'valid', axis),
  );
  if (places.some(({ out }) => out < 1)) throw tooLarge(kernel, dilations, size.slice(0, axes));
  return {
    size: threeAxes(size.slice(0, axes), 1),
    channels: size[axes] ?? 0,
    kernel: threeAxes(kernel, 1),
    strides: threeAxes(strides, 1),
    dilations: threeAxes(dilations, 1),
    pad: threeAxes(
      places.map(({ pad }) => pad),
      0,
    ),
    out: threeAxes(
      places.map(({ out }) => out),
      1,
    ),
  };
}

const product = (numbers: readonly number[]) => numbers.reduce((all, each) => all * each, 1);

/** Taps of a window. */
export const tapsOf = ({ kernel }: NativePatches) => product(kernel);

/** Numbers of a sample's data. */
export const sampleOf = ({ size, channels }: NativePatches) => product(size) * channels;

/** Windows of a sample. */
export const positionsOf = ({ out }: NativePatches) => product(out);

/** The window and its data in words. */
export const describeWindow = ({ kernel, size, channels }: NativePatches) => {
  const first = size.findIndex((extent, axis) => extent > 1 || (kernel[axis] ?? 1) > 1);
  const from = first < 0 ? 2 : first;
  return `${kernel.slice(from).join('×')} over ${[...size.slice(from), channels].join('×')}`;
};
