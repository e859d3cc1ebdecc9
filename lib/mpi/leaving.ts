/** What is to be known of a process that leaves while it is connected. */
import { writeSync } from 'node:fs';
import { inspect } from 'node:util';
import { isMainThread } from 'node:worker_threads';
import type { NativeMpi } from '../native/mpi';

/** The exit code of a run that a rank leaves early with exit code 0: EX_SOFTWARE. */
const LEFT_EARLY = 70;
const STDERR = 2;

/**
 * Tells the addon the exit code when this process leaves, which the run ends with then. The error that ends a worker is
 * printed here: its end ends the run, and the main thread may not come to tell of it.
 *
 * @returns What is called once this process may leave as it likes.
 */
export function watchLeaving(native: NativeMpi): () => void {
  const leave = (code: number) => native.setExitCode(code === 0 ? LEFT_EARLY : code);
  const tell = (error: unknown) => writeSync(STDERR, `${inspect(error)}\n`);
  process.on('exit', leave);
  if (!isMainThread) process.on('uncaughtExceptionMonitor', tell);
  return () => {
    process.off('exit', leave);
    process.off('uncaughtExceptionMonitor', tell);
  };
}
