/** What convolution ops say of their windows, in the words of a preconditioner. */
import type { Tensor } from '@tensorflow/tfjs-core';
import type { Padding, WindowOptions } from '../../adapter-kit';
import type { TapeNode } from '../tape/tape';

/** Numbers of a shape. */
export const sizeOf = (shape: readonly number[]) => shape.reduce((product, length) => product * length, 1);

function perAxis(value: unknown, axes: number): number[] | undefined {
  const numbers: unknown[] = Array.isArray(value) ? value : new Array<unknown>(axes).fill(value);
  return numbers.length === axes && numbers.every((each) => Number.isInteger(each)) ? (numbers as number[]) : undefined;
}

/** The zeros before each axis, of an attribute that counts them. */
function zerosBefore(pad: unknown, axes: number): number[] | undefined {
  if (typeof pad === 'number') return new Array<number>(axes).fill(pad);
  // of every axis, that of the batch and that of the channels among them
  if (!Array.isArray(pad) || pad.length !== axes + 2) return undefined;
  return pad.slice(1, -1).map((zeros: unknown) => (Array.isArray(zeros) ? Number(zeros[0]) : Number(zeros)));
}

/**
 * The windows of an op whose kernel has `axes` axes before its channels; `undefined` of a form that is not known. Where
 * zeros are counted, those behind are as many as the windows need that there are, however the op rounds their number.
 *
 * @param over - The shape of the tensor that the windows are over.
 * @param out - The shape of the one that has a place for each.
 */
export function windowsOf(
  { attributes }: Pick<TapeNode, 'attributes'>,
  kernel: readonly number[],
  axes: number,
  over: readonly number[],
  out: readonly number[],
): Required<WindowOptions> | undefined {
  const { strides: stride, dilations: dilation, pad, dataFormat = 'NHWC' } = attributes;
  const [strides, dilations] = [perAxis(stride, axes), perAxis(dilation ?? 1, axes)];
  if (!strides || !dilations || (dataFormat !== 'NHWC' && dataFormat !== 'NDHWC')) return undefined;
  const at = (numbers: readonly number[], axis: number) => numbers[axis] ?? 1;
  const counted = zerosBefore(pad, axes)?.map((before, axis): readonly [number, number] => {
    const window = (at(kernel, axis) - 1) * at(dilations, axis) + 1;
    const reach = (at(out, axis + 1) - 1) * at(strides, axis) + window;
    return [before, Math.max(0, reach - at(over, axis + 1) - before)];
  });
  const padding: Padding | undefined = pad === 'same' || pad === 'valid' ? pad : counted;
  if (!padding) return undefined;
  return { kernelSize: kernel.slice(0, axes), strides, dilations, padding };
}

/** Numbers of a sample's part of a tensor. */
export const sampleSize = ({ shape }: Pick<Tensor, 'shape'>) => sizeOf(shape.slice(1));
