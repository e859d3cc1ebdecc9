/** What the tests of the kernels share: numbers, the heap, and an installation that each test undoes. */
import * as tf from '@tensorflow/tfjs-core';
import type { InstalledKernels } from '../../../lib/tfjs';
import { install as installWith } from '../../../lib/tfjs/kernels/install';
import { THRESHOLDS } from '../../../lib/tfjs/kernels/kernel';
import { normal as draw, quietWarnings } from './backends';

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
