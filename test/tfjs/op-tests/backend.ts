/** The backend that the op tests of TensorFlow.js are declared for: to be imported before them. */
import '@tensorflow/tfjs-core/dist/register_all_gradients';
import { join } from 'node:path';
import { setWasmPaths } from '@tensorflow/tfjs-backend-wasm';
import { setTestEnvs } from '@tensorflow/tfjs-core/dist/jasmine_util';

setWasmPaths(join(process.cwd(), 'node_modules/@tensorflow/tfjs-backend-wasm/dist/'));
setTestEnvs([{ name: 'wasm', backendName: 'wasm', isDataSync: true }]);
