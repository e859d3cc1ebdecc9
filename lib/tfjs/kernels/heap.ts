/** The memory of the wasm backend, and products on it. */
import type { TensorInfo } from '@tensorflow/tfjs-core';
import { CgfacError, describe, matrixProducts } from '../../adapter-kit';
import { type BroadcastInput, type Epilogue, type Product, size, stacked } from './product';

/** What is used of the wasm backend. */
export interface WasmBackend {
  readonly wasm: { readonly HEAPU8: Uint8Array };
  readonly dataIdMap: { get(dataId: object): { readonly memoryOffset: number } | undefined };
  makeOutput(shape: number[], dtype: 'float32'): TensorInfo;
  disposeData(dataId: object): boolean;
}

function formError(expected: string, name: string, received: unknown): CgfacError {
  return new CgfacError(
    'ERR_CGFAC_TFJS_BACKEND',
    `Expected ${expected} for ${name} but received ${describe(received)}; ` +
      'this version of cgfac knows @tensorflow/tfjs-backend-wasm 4',
  );
}

/**
 * The wasm backend, if its heap can be reached in the form that is known here.
 *
 * @throws {@link CgfacError} `ERR_CGFAC_TFJS_BACKEND` for a backend of another form.
 */
export function wasmBackend(candidate: unknown): WasmBackend {
  const backend = candidate as Partial<WasmBackend> | null | undefined;
  if (typeof backend?.makeOutput !== 'function') throw formError('a method makeOutput', 'the wasm backend', backend);
  if (typeof backend.disposeData !== 'function') throw formError('a method disposeData', 'the wasm backend', backend);
  if (typeof backend.dataIdMap?.get !== 'function')
    throw formError('a map dataIdMap', 'the wasm backend', backend.dataIdMap);
  if (!ArrayBuffer.isView(backend.wasm?.HEAPU8))
    throw formError('a Uint8Array wasm.HEAPU8', 'the wasm backend', backend.wasm?.HEAPU8);
  return backend as WasmBackend;
}

/**
 * Computes a product on the wasm heap, and returns its output.
 *
 * @throws {@link CgfacError} `ERR_CGFAC_OUT_OF_MEMORY` where the heap cannot grow any more, `ERR_CGFAC_TFJS_BACKEND`
 * for a tensor whose memory is not found.
 */
export function computeProduct(
  backend: WasmBackend,
  a: TensorInfo,
  b: TensorInfo,
  product: Product,
  epilogue: Epilogue,
): TensorInfo {
  const offset = ({ dataId }: TensorInfo): number => {
    const data = backend.dataIdMap.get(dataId);
    if (typeof data?.memoryOffset !== 'number')
      throw formError('a number memoryOffset', 'a tensor of the wasm backend', data?.memoryOffset);
    return data.memoryOffset;
  };
  const place = (tensor: TensorInfo) => ({ start: offset(tensor), length: size(tensor.shape) });
  const placeOf = (input: BroadcastInput | undefined) => input && { ...place(input.tensor), shape: input.shape };
  // Each of these may make the heap grow: a tensor of another backend is moved here when it is first looked up.
  const [atA, atB, atBias, atSlopes] = [place(a), place(b), placeOf(epilogue.bias), placeOf(epilogue.slopes)];
  const out = backend.makeOutput([...product.shape], 'float32');
  try {
    const atOut = place(out);
    if (atOut.start === 0) {
      throw new CgfacError(
        'ERR_CGFAC_OUT_OF_MEMORY',
        `Expected memory of the wasm heap for a product of shape ${product.shape} but received none`,
      );
    }
    // from here on nothing allocates there, so the buffer stays what it is
    const heap = backend.wasm.HEAPU8.buffer;
    const values = ({ start, length }: ReturnType<typeof place>) => new Float32Array(heap, start, length);
    const { shape: _, ...matrices } = stacked(product, epilogue);
    matrixProducts({
      ...matrices,
      a: values(atA),
      b: values(atB),
      out: values(atOut),
      bias: atBias && { values: values(atBias), shape: atBias.shape },
      activation: epilogue.activation,
      slope: epilogue.slope,
      slopes: atSlopes && { values: values(atSlopes), shape: atSlopes.shape },
    });
    return out;
  } catch (error) {
    backend.disposeData(out.dataId);
    throw error;
  }
}
