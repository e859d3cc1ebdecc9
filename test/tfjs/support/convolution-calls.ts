/** Calls of the gradients of convolutions, and what they are to give. */
import * as tf from '@tensorflow/tfjs-core';
import { normal, numbers } from './kernels';

/** The gradients that are compared. */
export type Kernel =
  | 'Conv2DBackpropFilter'
  | 'Conv2DBackpropInput'
  | 'DepthwiseConv2dNativeBackpropFilter'
  | 'DepthwiseConv2dNativeBackpropInput'
  | 'Conv3DBackpropFilterV2'
  | 'Conv3DBackpropInputV2';

/** A call of a kernel: its inputs by shape, and its attributes. */
export interface Call {
  readonly kernel: Kernel;
  readonly inputs: Readonly<Record<string, number[]>>;
  readonly attributes: tf.NamedAttrMap;
}

/** What TensorFlow.js takes as padding of a plane. */
export type Padding = 'valid' | 'same' | number | [[0, 0], [number, number], [number, number], [0, 0]];
type Four = [number, number, number, number];

interface Attributes2d {
  readonly strides: [number, number] | number;
  readonly pad: Padding;
  readonly inputShape?: readonly number[];
  readonly filterShape?: readonly number[];
}

/** Column, row and sample of a place of dy. */
const placeOf = (place: number, [, rows = 1, columns = 1]: readonly number[]) =>
  [place % columns, Math.floor(place / columns) % rows, Math.floor(place / columns / rows)] as const;

/** The numbers that {@link run} gives an input. */
const valuesOf = (inputs: Call['inputs'], name: string): Float32Array =>
  numbers(normal([...(inputs[name] ?? [])], Object.keys(inputs).indexOf(name)));

/** Calls a kernel on the current backend, with numbers that its inputs' places and shapes decide. */
export const run = ({ kernel, inputs, attributes }: Call): tf.Tensor =>
  tf.tidy(() => {
    const tensors = Object.entries(inputs).map(([name, shape], seed) => [name, normal(shape, seed)] as const);
    return tf.engine().runKernel(kernel, Object.fromEntries(tensors), attributes) as tf.Tensor;
  });

/** What a kernel gives: its shape and numbers. */
export type Reference = (call: Call) => { readonly shape: readonly number[]; readonly values: ArrayLike<number> };

/** A gradient of a plain convolution as float64 sums over its taps: the cpu backend takes seconds for larger ones. */
export const asSums: Reference = ({ kernel, inputs, attributes }) => {
  const { strides: steps, pad, ...shapes } = attributes as unknown as Attributes2d;
  const dyShape = inputs.dy ?? [];
  const [inputShape = [], filterShape = []] = [inputs.x ?? shapes.inputShape, inputs.filter ?? shapes.filterShape];
  const info = tf.backend_util.computeConv2DInfo(inputShape as Four, filterShape as Four, steps, 1, pad as 'valid');
  const [[count = 0, rows = 0, columns = 0, channels = 0], [kh = 0, kw = 0, , filters = 0]] = [inputShape, filterShape];
  const [dy, other] = [valuesOf(inputs, 'dy'), valuesOf(inputs, inputs.x ? 'x' : 'filter')];
  const ofKernel = kernel === 'Conv2DBackpropFilter';
  const shape = ofKernel ? filterShape : inputShape;
  const sums = new Float64Array(shape.reduce((size, extent) => size * extent));
  for (let at = 0; at < dy.length; at += filters) {
    const [column, row, sample] = placeOf(at / filters, dyShape);
    for (let tap = 0; sample < count && tap < kh * kw; tap++) {
      const y = row * info.strideHeight + Math.floor(tap / kw) - info.padInfo.top;
      const x = column * info.strideWidth + (tap % kw) - info.padInfo.left;
      if (y < 0 || y >= rows || x < 0 || x >= columns) continue;
      const input = ((sample * rows + y) * columns + x) * channels;
      for (let c = 0; c < channels; c++) {
        const weights = (tap * channels + c) * filters;
        for (let f = 0; f < filters; f++) {
          const [into, from] = ofKernel ? [weights + f, input + c] : [input + c, weights + f];
          sums[into] = (sums[into] ?? 0) + (other[from] ?? 0) * (dy[at + f] ?? 0);
        }
      }
    }
  }
  return { shape, values: sums };
};
