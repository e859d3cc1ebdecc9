import { dirname } from 'node:path';
import { setWasmPaths } from '@tensorflow/tfjs-backend-wasm';
import * as tf from '@tensorflow/tfjs-core';
import { installKernels } from 'cgfac/tfjs';

/** Starts the wasm backend of TensorFlow.js, with the kernels of cgfac. */
export async function startWasm(): Promise<void> {
  setWasmPaths(`${dirname(require.resolve('@tensorflow/tfjs-backend-wasm/package.json'))}/dist/`);
  if (!(await tf.setBackend('wasm'))) throw new Error('The wasm backend of TensorFlow.js could not be started.');
  installKernels(tf);
}
