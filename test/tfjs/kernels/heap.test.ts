import * as tf from '@tensorflow/tfjs-core';
import { errorOf, useBackend } from '../support/backends';
import { install, normal, numbers, uninstalledAfterEach } from '../support/kernels';

interface WasmBackend extends tf.KernelBackend {
  readonly wasm: { readonly HEAPU8: Uint8Array };
}
const backend = () => tf.backend() as WasmBackend;
const heap = () => backend().wasm.HEAPU8.buffer;

uninstalledAfterEach();

describe('the memory of the wasm heap', () => {
  beforeEach(() => useBackend('wasm'));
  const [n, k] = [2048, 2];
  /** Row i of the product holds i + 1. */
  const rowsOf = (count: number) =>
    tf.tensor2d(
      Float32Array.from({ length: count * k }, (_, at) => (Math.floor(at / k) + 1) / k),
      [count, k],
    );
  const isRight = (values: ArrayLike<number>) => {
    for (let at = 0; at < values.length; at++) if (values[at] !== Math.floor(at / n) + 1) return false;
    return values.length > 0;
  };

  it('may be replaced between installing and a product', () => {
    const kernels = install();
    const [a, b] = [rowsOf(n), tf.ones([k, n])];
    const before = heap();
    const ballast: tf.Tensor[] = [];
    while (heap() === before) ballast.push(tf.zeros([1 << 22]));
    expect(isRight(numbers(tf.matMul(a, b)))).toBe(true);
    expect(kernels.nativeProducts).toBe(1);
    tf.dispose([a, b, ...ballast]);
  });

  it('may be replaced by the output of the product itself', () => {
    const kernels = install();
    const [a, b] = [rowsOf(n), tf.ones([k, n])];
    const outputs: tf.Tensor[] = [];
    let grown = 0;
    // 16 MiB each: the heap, of 4 GiB at most, has to grow for some of them
    while (grown < 2) {
      const before = heap();
      const out = tf.matMul(a, b);
      outputs.push(out);
      if (heap() === before) continue;
      grown++;
      expect(before).toHaveProperty('byteLength', 0); // detached: what was a view of it is empty
      expect(isRight(out.dataSync())).toBe(true);
    }
    expect(kernels.nativeProducts).toBe(outputs.length);
    tf.dispose([a, b, ...outputs]);
  });

  it('takes in a tensor of another backend, which may make it grow', async () => {
    await useBackend('cpu');
    const [a, b] = [rowsOf(n), tf.ones([k, n])];
    await useBackend('wasm');
    install();
    expect(isRight(numbers(tf.matMul(a, b)))).toBe(true);
    tf.dispose([a, b]);
  });

  it('keeps nothing of a product', () => {
    const [a, b] = [normal([3, 100, 100], 1), normal([100, 100], 2)];
    install();
    const before = [tf.memory().numTensors, tf.memory().numBytes, backend().numDataIds()];
    tf.matMul(a, b).dispose();
    tf.tidy(() => tf.dispose(tf.fused.matMul({ a, b, bias: normal([100], 3), activation: 'relu' })));
    expect([tf.memory().numTensors, tf.memory().numBytes, backend().numDataIds()]).toEqual(before);
    tf.dispose([a, b]);
  });

  it('that has run out is an error, and the output is disposed of', async () => {
    const [a, b] = [normal([100, 100], 1), normal([100, 100], 2)];
    install();
    const full = Object.create(backend()) as WasmBackend & Record<string, unknown>;
    const real = tf.backend() as unknown as { dataIdMap: { get(id: object): unknown } };
    const output = { dataId: {}, shape: [100, 100], dtype: 'float32' as const };
    Object.assign(full, {
      dataIdMap: { get: (id: object) => (id === output.dataId ? { memoryOffset: 0 } : real.dataIdMap.get(id)) },
      makeOutput: () => output,
      disposeData: jest.fn(),
    });
    const run = () => tf.getKernel('BatchMatMul', 'wasm').kernelFunc({ inputs: { a, b }, attrs: {}, backend: full });
    expect(await errorOf(run)).toMatchObject({ code: 'ERR_CGFAC_OUT_OF_MEMORY' });
    expect(full.disposeData).toHaveBeenCalledWith(output.dataId);
    tf.dispose([a, b]);
  });
});
