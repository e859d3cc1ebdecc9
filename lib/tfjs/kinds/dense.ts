import { reshape, type Tensor } from '@tensorflow/tfjs-core';
import { exchangeLastAxes } from '../tape/graph';
import { FUSED_MAT_MUL, type TapeNode } from '../tape/tape';
import type { LayerKind, Site, View } from './layer-kind';

/** Whether the axes before the last two are all 1: one matrix, not a stack of them. */
function isOneMatrix(shape: readonly number[]): boolean {
  return shape.length >= 2 && shape.slice(0, -2).every((length) => length === 1);
}

function readRows(tensor: Tensor, width: number, transposed: boolean): Float32Array {
  return reshape(transposed ? exchangeLastAxes(tensor) : tensor, [-1, width]).dataSync<'float32'>();
}

/** z = a·W, the data on the left: rows of `a` are rows of inputs, rows of z rows of outputs. */
function dataTimesKernel(
  node: TapeNode,
  view: View,
  transposeA: boolean,
  transposeB: boolean,
  fused: boolean,
): Site | undefined {
  const [saved] = node.saved;
  const data = node.inputs.get(fused ? '0' : 'a');
  if (!saved || !data || !isOneMatrix(view.shape)) return undefined;
  const [rows = 0, columns = 0] = view.shape.slice(-2);
  const [inFeatures, outFeatures] = transposeB ? [columns, rows] : [rows, columns];
  return {
    node,
    kernelInput: fused ? '1' : 'b',
    rows: saved.size / inFeatures,
    inFeatures,
    outFeatures,
    kernelLayout: view.transposed === transposeB ? 'in-out' : 'out-in',
    data,
    ...(transposeA ? { samples: saved.size / inFeatures } : {}),
    biasInput: fused && node.inputs.has('2') ? '2' : undefined,
    rowsAreOutputRows: true,
    readInputs: () => readRows(saved, inFeatures, transposeA),
    readOutputGrads: (outputGradient) => readRows(outputGradient, outFeatures, false),
  };
}

/** z = W·a, the data on the right: columns of `a` are rows of inputs, columns of z rows of outputs. */
function kernelTimesData(node: TapeNode, view: View, transposeA: boolean, transposeB: boolean): Site | undefined {
  const [, saved] = node.saved;
  const data = node.inputs.get('b');
  if (!saved || !data || !isOneMatrix(view.shape) || !isOneMatrix(saved.shape)) return undefined;
  const [rows = 0, columns = 0] = view.shape.slice(-2);
  const [outFeatures, inFeatures] = transposeA ? [columns, rows] : [rows, columns];
  return {
    node,
    kernelInput: 'a',
    rows: saved.size / inFeatures,
    inFeatures,
    outFeatures,
    kernelLayout: view.transposed === transposeA ? 'out-in' : 'in-out',
    data,
    samples: saved.size / inFeatures,
    biasInput: undefined,
    rowsAreOutputRows: false,
    readInputs: () => readRows(saved, inFeatures, !transposeB),
    readOutputGrads: (outputGradient) => readRows(outputGradient, outFeatures, true),
  };
}

/**
 * The dense layer: a matrix product of data by a trainable matrix, fused with a bias or not, the data of any rank,
 * either operand transposed. Its kernel gradient is the sum over the rows of (input row)ᵀ (output gradient row).
 */
export const dense: LayerKind = (node, name, view) => {
  const { activation, transposeA: a, transposeB: b } = node.attributes;
  const [transposeA, transposeB] = [a === true, b === true];
  if (node.kernel === FUSED_MAT_MUL) {
    // While gradients are computed TensorFlow.js fuses no activation but the linear one.
    if (name !== '1' || activation !== 'linear') return undefined;
    return dataTimesKernel(node, view, transposeA, transposeB, true);
  }
  if (node.kernel !== 'BatchMatMul') return undefined;
  return name === 'b'
    ? dataTimesKernel(node, view, transposeA, transposeB, false)
    : kernelTimesData(node, view, transposeA, transposeB);
};
