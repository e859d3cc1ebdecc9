/** What the tests of the kernels share: numbers, the heap, and an installation that each test undoes. */
import * as tf from '@tensorflow/tfjs-core';
import type { InstalledKernels } from '../../../lib/tfjs';
import { install as installWith } from '../../../lib/tfjs/kernels/install';
import { THRESHOLDS } from '../../../lib/tfjs/kernels/kernel';
import { normal as draw, quietWarnings, relativeError, useBackend } from './backends';
import { NO_THRESHOLDS } from './thresholds';

/** The tolerance of float32 sums of up to a thousand terms, in another order than the cpu backend's. */
export const TOLERANCE = 1e-5;

/** The numbers of a tensor, which is disposed of. */
export function numbers(tensor: tf.Tensor): Float32Array {
  const values = tensor.dataSync<'float32'>();
  const copy = Float32Array.from(values);
  tensor.dispose();
  return copy;
}

const drawn = new Map<string, Float32Array>();

/** Normal numbers as in backends.ts, drawn once: a tensor of the backend that is the current one. */
export function normal(shape: number[], seed: number): tf.Tensor {
  const key = `${shape} ${seed}`;
  const values = drawn.get(key) ?? numbers(draw(shape, seed));
  drawn.set(key, values);
  return tf.tensor(values, shape);
}

let installed: InstalledKernels | undefined;

/** Installs the kernels until the test under way ends. */
export function install(thresholds = THRESHOLDS): InstalledKernels {
  installed = installWith(tf, thresholds);
  return installed;
}

/** Has every test of a file undo its last installation, and its warnings kept back. */
export function uninstalledAfterEach(): ReturnType<typeof quietWarnings> {
  const warnings = quietWarnings();
  afterEach(() => installed?.uninstall());
  return warnings;
}

/** What an op gave. */
export interface Result {
  readonly shape: readonly number[];
  readonly dtype: tf.DataType;
  readonly values: Float32Array;
}

/** The tensor of an op as numbers; it is disposed of. */
export function resultOf(op: () => tf.Tensor): Result {
  const tensor = tf.tidy(op);
  return { shape: tensor.shape, dtype: tensor.dtype, values: numbers(tensor) };
}

/** Results on the cpu backend, then on the wasm backend with the kernels installed in any size, where none may leak. */
export async function onBoth<T>(
  results: () => T,
): Promise<{ readonly expected: T; readonly received: T; readonly kernels: InstalledKernels }> {
  await useBackend('cpu');
  const expected = results();
  await useBackend('wasm');
  const kernels = install(NO_THRESHOLDS);
  const before = tf.memory().numTensors;
  const received = results();
  expect(tf.memory().numTensors).toBe(before);
  return { expected, received, kernels };
}

/** Expects results of the same form whose numbers are the same but for the rounding of sums. */
export function expectNearly(received: readonly Result[], expected: readonly Result[]): void {
  expect(received.length).toBe(expected.length);
  received.forEach(({ values, ...form }, which) => {
    const { values: wanted, ...wantedForm } = expected[which] ?? { values: [] };
    expect(form).toEqual(wantedForm);
    expect(wanted.length === 0 || relativeError(values, wanted) <= TOLERANCE).toBe(true);
  });
}
