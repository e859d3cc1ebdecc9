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

function paddingOf(pad: unknown, axes: number): Padding | undefined {
  if (pad === 'same' || pad === 'valid') return pad;
  if (typeof pad === 'number') return new Array<readonly [number, number]>(axes).fill([pad, pad]);
  // of every axis, that of the batch and that of the channels among them
  return Array.isArray(pad) && pad.length === axes + 2 ? (pad.slice(1, -1) as [number, number][]) : undefined;
}

/** The windows of an op whose kernel has `axes` axes before its channels; `undefined` of a form that is not known. */
export function windowsOf(
  { attributes }: Pick<TapeNode, 'attributes'>,
  kernel: readonly number[],
  axes: number,
): Required<WindowOptions> | undefined {
  const { strides: stride, dilations: dilation, pad, dataFormat = 'NHWC' } = attributes;
  const [strides, dilations] = [perAxis(stride, axes), perAxis(dilation ?? 1, axes)];
  const padding = paddingOf(pad, axes);
  if (!strides || !dilations || !padding || (dataFormat !== 'NHWC' && dataFormat !== 'NDHWC')) return undefined;
  return { kernelSize: kernel.slice(0, axes), strides, dilations, padding };
}

/** The numbers of a tensor; the array may be the tensor's own. */
export const read = (tensor: Tensor) => tensor.dataSync<'float32'>();

/** Numbers of a sample's part of a tensor. */
export const sampleSize = ({ shape }: Pick<Tensor, 'shape'>) => sizeOf(shape.slice(1));
