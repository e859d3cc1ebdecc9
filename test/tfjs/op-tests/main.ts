/**
 * Runs the op tests of TensorFlow.js on its wasm backend and writes what became of them: node PROGRAM FILE
 * stock|kernels. With `kernels`, every call goes to the kernels of this package, however small it is.
 */
import { environment } from './jasmine';
import './backend';
import '@tensorflow/tfjs-core/dist/tests';
import { writeFileSync } from 'node:fs';
import * as tf from '@tensorflow/tfjs-core';
import { install } from '../../../lib/tfjs/kernels/install';
import { NO_THRESHOLDS } from '../support/thresholds';

/** What became of the specs: nothing for one that passed, else what was wrong. */
export interface OpTestResults {
  readonly specs: Readonly<Record<string, string | null>>;
  /** The calls that the kernels of this package took. */
  readonly native: Readonly<Record<string, number>>;
}

const [, , file = '', kernels] = process.argv;
const installed = kernels === 'kernels' ? install(tf, NO_THRESHOLDS) : undefined;
const specs: Record<string, string | null> = {};
environment.configure({ random: false });
environment.addReporter({
  specDone: ({ fullName, status, failedExpectations: [failed] }) => {
    if (status === 'passed' || status === 'failed') specs[fullName] = status === 'passed' ? null : `${failed?.message}`;
  },
});
void environment.execute().then(() => {
  const calls = Object.entries(installed?.calls ?? {});
  const results: OpTestResults = {
    specs,
    native: Object.fromEntries(calls.map(([name, { native }]) => [name, native])),
  };
  writeFileSync(file, JSON.stringify(results));
  process.exit();
});
