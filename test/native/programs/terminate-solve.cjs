// A worker_thread is terminated within a solve, asynchronous or synchronous; then the main thread solves.
const { Worker, isMainThread, parentPort, workerData } = require('node:worker_threads');
const { share, solver } = require('./long-solve.cjs');

async function terminate(method, kind) {
  const worker = new Worker(__filename, { workerData: { method, kind } });
  const milliseconds = await new Promise((resolve) => worker.once('message', resolve));
  await new Promise((resolve) => setTimeout(resolve, milliseconds / 6));
  const start = performance.now();
  await worker.terminate();
  console.log(method, kind, share(performance.now() - start, milliseconds));
}

(async () => {
  if (isMainThread) {
    const [method, kind] = process.argv.slice(2);
    await terminate(method, kind);
    const { solve } = await solver('factored');
    console.log('alive', (await solve()).x.length);
  } else {
    const { solve, solveSync, milliseconds } = await solver(workerData.method);
    parentPort.postMessage(milliseconds);
    await (workerData.kind === 'sync' ? solveSync() : solve());
    await new Promise((resolve) => setTimeout(resolve, 10_000)); // it was too quick: terminated asleep
  }
})();
