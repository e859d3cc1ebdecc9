import '@tensorflow/tfjs-layers';
import '@tensorflow/tfjs-backend-cpu';
import '@tensorflow/tfjs-backend-wasm';
import * as tf from '@tensorflow/tfjs-core';

/** Makes a backend the current one. What TensorFlow.js says at the first tensor of a backend is kept back. */
export async function useBackend(name: 'cpu' | 'wasm'): Promise<void> {
  await tf.setBackend(name);
  await tf.ready();
  tf.env().set('IS_TEST', true);
  tf.scalar(0).dispose();
  tf.env().set('IS_TEST', false);
}

/** Standard normal numbers, always the same for the same seed. */
export function normal(shape: number[], seed: number): tf.Tensor {
  return tf.randomNormal(shape, 0, 1, 'float32', seed);
}

/** ‖a − b‖ / ‖b‖. */
export function relativeError(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let [difference, size] = [0, 0];
  for (let at = 0; at < b.length; at++) {
    difference += ((a[at] ?? Number.NaN) - (b[at] ?? 0)) ** 2;
    size += (b[at] ?? 0) ** 2;
  }
  return Math.sqrt(difference / size);
}

/** A variable that starts at `normal(shape, seed)`. */
export function variable(shape: number[], seed: number): tf.Variable {
  return tf.tidy(() => tf.variable(normal(shape, seed)));
}

/** The error that `f` throws, or rejects with. */
export async function errorOf(f: () => unknown): Promise<{ code: string; message: string; cause?: unknown }> {
  try {
    await f();
  } catch (error) {
    return error as { code: string; message: string; cause?: unknown };
  }
  throw new Error('nothing was thrown');
}

/** Keeps warnings back in every test of a file; the calls are those of the test under way. */
export function quietWarnings(): { readonly calls: readonly unknown[][]; readonly infos: readonly unknown[][] } {
  let warn: jest.SpyInstance;
  let info: jest.SpyInstance;
  beforeEach(() => {
    warn = jest.spyOn(console, 'warn').mockImplementation(() => undefined);
    info = jest.spyOn(console, 'info').mockImplementation(() => undefined);
  });
  afterEach(() => {
    warn.mockRestore();
    info.mockRestore();
  });
  return {
    get calls() {
      return warn.mock.calls;
    },
    get infos() {
      return info.mock.calls;
    },
  };
}

/** On the cpu backend: every test in a scope of its own, with its warnings kept back. */
export function quietScopes(): ReturnType<typeof quietWarnings> {
  beforeAll(() => useBackend('cpu'));
  const warnings = quietWarnings();
  beforeEach(() => tf.engine().startScope());
  afterEach(() => {
    tf.engine().endScope();
    tf.disposeVariables();
  });
  return warnings;
}
