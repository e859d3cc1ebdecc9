/** Golden cases of kinds of layers as ops of TensorFlow.js. */
import * as tf from '@tensorflow/tfjs-core';
import type { GoldenKind } from '../../support/golden-kinds';

/** How a bias comes to a convolution: by an op of its own, or fused with it. */
export type Written = 'plain' | 'fused';

/** A case's layer: its variables, of zeros, the kernel first, and what comes out of it. */
export interface GoldenOps {
  readonly variables: readonly tf.Variable[];
  readonly output: () => tf.Tensor;
}

const EPSILON = 1e-3;

const quadruple = (shape: readonly number[]) => [...shape] as [number, number, number, number];

const zeros = (golden: GoldenKind, gradient: string, name: string) =>
  tf.variable(tf.zeros([...golden.shape(gradient)]), true, name);

/** A convolution, depthwise or not, with a bias or without. */
function convolution(golden: GoldenKind, written: Written): GoldenOps {
  const { kind, bias, strides, dilations = [1, 1], padding } = golden.manifest;
  const x = tf.tensor4d(golden.inputs, quadruple(golden.shape('inputs')));
  const filter = zeros(golden, 'kernelGrad', 'kernel') as tf.Variable<tf.Rank.R4>;
  const shift = bias ? (zeros(golden, 'biasGrad', 'bias') as tf.Variable<tf.Rank.R1>) : undefined;
  const step = [...strides] as [number, number];
  const rate = [...dilations] as [number, number];
  const images = kind === 'conv2d';
  const plain = () => {
    const z = (images ? tf.conv2d : tf.depthwiseConv2d)(x, filter, step, padding, 'NHWC', rate);
    return shift ? tf.add(z, shift) : z;
  };
  const fused = () => {
    const all = { x, filter, strides: step, pad: padding, dilations: rate, ...(shift ? { bias: shift } : {}) };
    return (images ? tf.fused.conv2d : tf.fused.depthwiseConv2d)(all);
  };
  return { variables: shift ? [filter, shift] : [filter], output: written === 'fused' ? fused : plain };
}

function transposedConvolution(golden: GoldenKind): GoldenOps {
  const { strides, padding } = golden.manifest;
  const x = tf.tensor4d(golden.inputs, quadruple(golden.shape('inputs')));
  const filter = zeros(golden, 'kernelGrad', 'kernel') as tf.Variable<tf.Rank.R4>;
  const shape = quadruple(golden.shape('lossGrads'));
  return {
    variables: [filter],
    output: () => tf.conv2dTranspose(x, filter, shape, [...strides] as [number, number], padding),
  };
}

function embedding(golden: GoldenKind): GoldenOps {
  const table = zeros(golden, 'tableGrad', 'table');
  const ids = tf.tensor(golden.inputs, [...golden.shape('ids')], 'int32');
  return { variables: [table], output: () => tf.gather(table, ids as tf.Tensor1D) };
}

/** Rows that are normalised already: with a mean of 0, and a variance that is 1 with the number that is added to it. */
function scaleShift(golden: GoldenKind): GoldenOps {
  const shape = golden.shape('normalised');
  const features = shape.at(-1) ?? 0;
  const x: tf.Tensor = tf.tensor(golden.inputs, [...shape] as [number]);
  const scale = zeros(golden, 'scaleGrad', 'scale') as tf.Variable<tf.Rank.R1>;
  const shift = zeros(golden, 'shiftGrad', 'shift') as tf.Variable<tf.Rank.R1>;
  const [mean, variance] = [tf.zeros([features]), tf.fill([features], 1 - EPSILON)] as tf.Tensor1D[];
  return {
    variables: [scale, shift],
    output: () => tf.batchNorm(x as tf.Tensor3D, mean as tf.Tensor1D, variance as tf.Tensor1D, shift, scale, EPSILON),
  };
}

/** The layer of a case. */
export function goldenOps(golden: GoldenKind, written: Written): GoldenOps {
  const { kind } = golden.manifest;
  if (kind === 'embedding') return embedding(golden);
  if (kind === 'scaleShift') return scaleShift(golden);
  return kind === 'conv2dTranspose' ? transposedConvolution(golden) : convolution(golden, written);
}

/** A loss whose gradient at the output, times the number of samples, is the given one: linear in the output. */
export function linearLoss({ output }: GoldenOps, grads: Float32Array, batch: number): () => tf.Scalar {
  return () =>
    tf.tidy(() => {
      const z = output();
      return tf.div(tf.sum(tf.mul(z, tf.tensor(grads, z.shape))), batch) as tf.Scalar;
    });
}
