/** The memory of a thread, after everything that can be collected was. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Heap } from './protocol';

setFlagsFromString('--expose-gc');
const collect: () => void = runInNewContext('gc');

/** Collects garbage, and what its finalizers leave. */
export async function heap(): Promise<Heap> {
  for (let time = 0; time < 3; time++) {
    collect();
    await new Promise(setImmediate);
  }
  const { heapUsed: used, external, arrayBuffers } = process.memoryUsage();
  return { used, external, arrayBuffers };
}
