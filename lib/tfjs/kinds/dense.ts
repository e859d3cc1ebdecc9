/**
 * The dense layer: a matrix product of data by a trainable matrix, fused with a bias or not, the data of any rank,
 * either operand transposed. Its kernel gradient is the sum over the rows of (input row)ᵀ (output gradient row).
 */
import { fill, matMul, reshape, sum, type Tensor, transpose } from '@tensorflow/tfjs-core';
import { multipliesTransposed, type Reader } from '../tape/numbers';
import type { InputGradients, TapeNode } from '../tape/tape';
import type { KernelGradient, LayerKind, Registration, Site, View } from './layer-kind';

/** The plain product: inputs 'a' and 'b', which its gradient saves in this order. */
const PLAIN = 'BatchMatMul';

/** The product fused with a bias: inputs '0' and '1', which its gradient saves in this order, and '2', the bias. */
const FUSED = '_FusedMatMul';

/** Whether the axes before the last two are all 1: one matrix, not a stack of them. */
function isOneMatrix(shape: readonly number[]): boolean {
  return shape.length >= 2 && shape.slice(0, -2).every((length) => length === 1);
}

/** Whether an op sees a view as one matrix, or as a stack of which each is the same one. */
function isOneKernel({ shape, tiled }: View, operand: Tensor | undefined): boolean {
  return isOneMatrix(shape) && (!tiled || operand?.shape.slice(-2).join() === shape.slice(-2).join());
}

/** A matrix, or a stack of matrices, with the last two axes exchanged. */
function exchangeLastAxes(tensor: Tensor): Tensor {
  const axes = tensor.shape.map((_, axis) => axis);
  const last = axes.length - 1;
  return transpose(tensor, [...axes.slice(0, -2), last, last - 1]);
}

function readRows(tensor: Tensor, transposed: boolean, read: Reader): Float32Array {
  return read(transposed ? exchangeLastAxes(tensor) : tensor);
}

/**
 * dy·W with the last axes of W exchanged. The stock product of the wasm backend takes eight times as long by a
 * transposed flag as by a transposed copy (256×784 by 784×256: 133 ms against 16).
 */
function timesTransposed(gradient: Tensor, kernel: Tensor): Tensor {
  return multipliesTransposed() ? matMul(gradient, kernel, false, true) : matMul(gradient, exchangeLastAxes(kernel));
}

/**
 * The gradient of a product for its first operand alone, dx = dy·Wᵀ. The product's own gradient function will not do
 * here: that of a fused product computes the weight gradient too, which nobody asks for, and both multiply by a
 * transposed flag.
 */
function firstOperandGradient(node: TapeNode, outputGradient: Tensor): (() => Tensor) | undefined {
  const [left, right] = node.saved;
  const { transposeA, transposeB, activation = 'linear' } = node.attributes;
  if (!left || !right || left.rank !== right.rank || activation !== 'linear') return undefined;
  const columns = right.shape[right.rank - (transposeB ? 2 : 1)];
  if (columns === undefined) return undefined;
  // as many rows as there are gradients: these may be of the first rows alone
  const matrices = left.shape.slice(0, -2).reduce((count, length) => count * length, 1);
  const rows = outputGradient.size / (columns * matrices);
  return () => {
    const gradient = reshape(outputGradient, [...left.shape.slice(0, -2), rows, columns]);
    const product = transposeB ? matMul(gradient, right) : timesTransposed(gradient, right);
    return transposeA ? exchangeLastAxes(product) : product;
  };
}

/** The gradient function of the first operand, where nothing else is wanted. */
function gradientsFor(node: TapeNode, outputGradient: Tensor, wanted: readonly string[]): InputGradients | undefined {
  const [name] = wanted;
  if ((node.kernel !== PLAIN && node.kernel !== FUSED) || wanted.length !== 1) return undefined;
  if (name !== 'a' && name !== '0') return undefined;
  const gradient = firstOperandGradient(node, outputGradient);
  return gradient && { [name]: gradient };
}

/**
 * Has the normal backward pass take zeros for the gradient of the kernel, the input `kernelName`, or compute it. A
 * fused product's own gradient function computes all of its gradients at once, so that its others are replaced too:
 * whether the kernel's is computed or not, which differs between a run and one that is resumed, they have the same
 * bits.
 */
function replaceGradients(node: TapeNode, kernelName: string, kernelGradient: KernelGradient): void {
  const kernel = node.inputs.get(kernelName);
  if (!kernel) return;
  node.replaceGradient((outputGradient, own) => {
    const skipped = kernelGradient === 'zeros';
    const nothing = skipped ? { [kernelName]: () => fill(kernel.shape, 0) } : {};
    const data = node.kernel === FUSED ? firstOperandGradient(node, outputGradient) : undefined;
    if (!data) return { ...own(), ...nothing };
    const bias = node.inputs.get('2');
    const width = outputGradient.shape.at(-1) ?? 1;
    const biasGradient = () => reshape(sum(reshape(outputGradient, [-1, width]), 0), bias?.shape ?? []);
    return {
      ...(skipped ? {} : own()),
      '0': () => reshape(data(), node.inputs.get('0')?.shape ?? []),
      ...nothing,
      ...(bias ? { '2': biasGradient } : {}),
    };
  });
}

/** What a product multiplies: the names of its operands, and which of them it transposes. */
interface Operands {
  readonly data: string;
  readonly kernel: string;
  readonly transposeData: boolean;
  readonly transposeKernel: boolean;
}

/** How a product's kernel stands in its variable. */
type Form = Pick<Site, 'inFeatures' | 'outFeatures' | 'kernelLayout'>;

/** Made apart from the site: a function keeps all that was in reach where it was made. */
function registrationOf({ inFeatures, outFeatures, kernelLayout }: Form, bias: boolean): Registration {
  const options = { inFeatures, outFeatures, bias, kernelLayout };
  return (preconditioner, name, place) => {
    preconditioner.registerDense(name, { ...options, ...place });
  };
}

/** What a site is and does whichever side the kernel stands on. */
function commonOf(node: TapeNode, operands: Operands, form: Form, saved: Tensor) {
  return {
    node,
    ...form,
    rows: saved.size / form.inFeatures,
    replaceGradients: (kernelGradient: KernelGradient) => replaceGradients(node, operands.kernel, kernelGradient),
    takesSlices: true,
    takesTiled: true as const,
    registration: (bias: boolean, outFeatures: number) => registrationOf({ ...form, outFeatures }, bias),
  };
}

/** z = a·W, the data on the left: rows of `a` are rows of inputs, rows of z rows of outputs. */
function dataTimesKernel(node: TapeNode, view: View, operands: Operands): Site | undefined {
  const [saved] = node.saved;
  const data = node.inputs.get(operands.data);
  if (!saved || !data || !isOneKernel(view, node.inputs.get(operands.kernel))) return undefined;
  const { transposeData, transposeKernel } = operands;
  const [rows = 0, columns = 0] = view.shape.slice(-2);
  const [inFeatures, outFeatures] = transposeKernel ? [columns, rows] : [rows, columns];
  const kernelLayout = view.transposed === transposeKernel ? 'in-out' : 'out-in';
  const fused = node.kernel === FUSED;
  return {
    ...commonOf(node, operands, { inFeatures, outFeatures, kernelLayout }, saved),
    data,
    takesFewerRows: !transposeData && !view.tiled,
    plainGrads: true,
    // a fused product sees its data as a stack of one matrix
    reshapesData: fused,
    ...(transposeData && isOneMatrix(saved.shape) ? { samples: saved.size / inFeatures } : {}),
    bias: fused && node.inputs.has('2') ? { is: 'input', name: '2' } : { is: 'addition' },
    readInputs: (read) => readRows(saved, transposeData, read),
    readOutputGrads: (outputGradient, read) => read(outputGradient),
  };
}

/** z = W·a, the data on the right: columns of `a` are rows of inputs, columns of z rows of outputs. */
function kernelTimesData(node: TapeNode, view: View, operands: Operands): Site | undefined {
  const [, saved] = node.saved;
  const data = node.inputs.get(operands.data);
  if (!saved || !data || !isOneKernel(view, node.inputs.get(operands.kernel))) return undefined;
  const { transposeData, transposeKernel } = operands;
  const [rows = 0, columns = 0] = view.shape.slice(-2);
  const [outFeatures, inFeatures] = transposeKernel ? [columns, rows] : [rows, columns];
  const kernelLayout = view.transposed === transposeKernel ? 'out-in' : 'in-out';
  return {
    ...commonOf(node, operands, { inFeatures, outFeatures, kernelLayout }, saved),
    data,
    takesFewerRows: false,
    plainGrads: false,
    reshapesData: false,
    // columns of one matrix are samples; of a stack each matrix is one
    ...(isOneMatrix(saved.shape) ? { samples: saved.size / inFeatures } : {}),
    bias: { is: 'unknown' },
    readInputs: (read) => readRows(saved, !transposeData, read),
    readOutputGrads: (outputGradient, read) => readRows(outputGradient, true, read),
  };
}

function siteAt(node: TapeNode, name: string, view: View): Site | undefined {
  const { activation, transposeA, transposeB } = node.attributes;
  const [first, second] = [transposeA === true, transposeB === true];
  if (node.kernel === FUSED) {
    // While gradients are computed TensorFlow.js fuses no activation but the linear one.
    if (name !== '1' || activation !== 'linear') return undefined;
    return dataTimesKernel(node, view, { data: '0', kernel: '1', transposeData: first, transposeKernel: second });
  }
  if (node.kernel !== PLAIN) return undefined;
  return name === 'b'
    ? dataTimesKernel(node, view, { data: 'a', kernel: 'b', transposeData: first, transposeKernel: second })
    : kernelTimesData(node, view, { data: 'b', kernel: 'a', transposeData: second, transposeKernel: first });
}

/** The dense layer, by the ops that TensorFlow.js has for products of matrices. */
export const dense: LayerKind = { fusedKernels: [FUSED], gradientsFor, siteAt };
