/** `tf.einsum` of one or two tensors by transposes and one matrix product. */
import type { TensorInfo } from '@tensorflow/tfjs-core';
import { backend_util } from '@tensorflow/tfjs-core';
import { size } from './heap';
import { cast, type KernelCall, type NativeKernel } from './kernel';

/** A tensor and the label of each of its axes, a number from 0. */
interface Labelled {
  readonly tensor: TensorInfo;
  readonly labels: readonly number[];
}

const reshaped = (call: KernelCall, x: TensorInfo, shape: readonly number[]): TensorInfo =>
  call.run('Reshape', { x }, { shape });

/** Sums a tensor over the labels that nothing else has. */
function summed(call: KernelCall, { tensor, labels }: Labelled, kept: (label: number) => boolean): Labelled {
  const axis = labels.flatMap((label, at) => (kept(label) ? [] : [at]));
  if (axis.length === 0) return { tensor, labels };
  return { tensor: call.run('Sum', { x: tensor }, { axis, keepDims: false }), labels: labels.filter(kept) };
}

/** A tensor with its axes in the order of `labels`. */
function ordered(call: KernelCall, { tensor, labels }: Labelled, order: readonly number[]): TensorInfo {
  const perm = order.map((label) => labels.indexOf(label));
  return perm.every((from, to) => from === to) ? tensor : call.run('Transpose', { x: tensor }, { perm });
}

/** The product of two tensors, summed over the labels that both have and the result has not. */
function product(call: KernelCall, a: Labelled, b: Labelled, inResult: (label: number) => boolean): Labelled {
  const common = a.labels.filter((label) => b.labels.includes(label));
  const batch = common.filter(inResult);
  const inner = common.filter((label) => !inResult(label));
  const rows = a.labels.filter((label) => !common.includes(label));
  const cols = b.labels.filter((label) => !common.includes(label));
  const extent = (label: number): number => {
    const [own, axis] = a.labels.includes(label) ? [a, a.labels.indexOf(label)] : [b, b.labels.indexOf(label)];
    return own.tensor.shape[axis] ?? 1;
  };
  const extents = (labels: readonly number[]) => labels.map(extent);
  const [count, m, k, n] = [batch, rows, inner, cols].map((labels) => size(extents(labels))) as [
    number,
    number,
    number,
    number,
  ];
  const matrices = {
    a: reshaped(call, ordered(call, a, [...batch, ...rows, ...inner]), [count, m, k]),
    b: reshaped(call, ordered(call, b, [...batch, ...inner, ...cols]), [count, k, n]),
  };
  const labels = [...batch, ...rows, ...cols];
  const results = call.run('BatchMatMul', matrices, { transposeA: false, transposeB: false });
  return { tensor: reshaped(call, results, extents(labels)), labels };
}

/** `tf.einsum`: of integers, too, as products of float32, which are exact up to 2²⁴. */
export const einsumKernel: NativeKernel = {
  kernelName: 'Einsum',
  stock: false,
  compute: (call) => {
    const tensors = Object.values(call.inputs).flatMap((tensor) => tensor ?? []);
    const { allDims, summedDims, idDims } = backend_util.decodeEinsumEquation(
      String(call.attrs.equation),
      tensors.length,
    );
    // checks the shapes alone
    backend_util.checkEinsumDimSizes(
      allDims.length,
      idDims,
      tensors as Parameters<typeof backend_util.checkEinsumDimSizes>[2],
    );
    const outputs = allDims.length - summedDims.length;
    const inResult = (label: number) => label < outputs;
    const [a, b] = tensors.map((tensor, which): Labelled => {
      const others = idDims.flatMap((labels, other) => (other === which ? [] : labels));
      const own = { tensor: cast(call, tensor, 'float32'), labels: idDims[which] ?? [] };
      return summed(call, own, (label) => inResult(label) || others.includes(label));
    }) as [Labelled, ...Labelled[]];
    const result = b ? product(call, a, b, inResult) : a;
    const order = Array.from({ length: outputs }, (_, label) => label);
    const dtype = tensors.some((tensor) => tensor.dtype === 'float32') ? 'float32' : 'int32';
    const out = cast(call, ordered(call, result, order), dtype);
    return tensors.includes(out) ? call.run('Identity', { x: out }) : out;
  },
};
