/**
 * Tensors of numbers that no backend holds. What is saved is read once, by `model.save` say, which disposes of nothing:
 * as tensors of a backend it would stay there for good.
 */
import { isFloat32Array } from 'node:util/types';
import { type DataId, type DataTypeMap, keep, type NumericDataType, Tensor, tensor } from '@tensorflow/tfjs-core';

/** Ids of the tensors of TensorFlow.js count up from 0. */
let lastId = -1;

/** A tensor whose numbers the garbage collector lets go of, disposed of or not, unless an op has used it. */
export class HostTensor extends Tensor {
  readonly #values: Float32Array | Int32Array;
  /** What a backend has of it, for ops. */
  #held: Tensor | undefined;

  constructor(values: Float32Array | Int32Array, shape: number[] = [values.length]) {
    super(shape, isFloat32Array(values) ? 'float32' : 'int32', {}, lastId--);
    this.#values = values;
    Object.defineProperty(this, 'dataId', { get: () => this.#dataId() });
  }

  override data<D extends keyof DataTypeMap = NumericDataType>(): Promise<DataTypeMap[D]> {
    return new Promise((resolve) => {
      resolve(this.dataSync<D>());
    });
  }

  override dataSync<D extends keyof DataTypeMap = NumericDataType>(): DataTypeMap[D] {
    this.throwIfDisposed();
    return this.#values as DataTypeMap[D];
  }

  override dispose(): void {
    this.#held?.dispose();
    this.#held = undefined;
    this.isDisposedInternal = true;
  }

  #dataId(): DataId {
    this.throwIfDisposed();
    this.#held ??= keep(tensor(this.#values, this.shape, this.dtype));
    return this.#held.dataId;
  }
}
