// node terminate-methods.cjs ROUNDS: a worker is terminated while a call of each method is pending, another one at work
// each time; then the main thread solves.
const { Worker, isMainThread, parentPort, workerData } = require('node:worker_threads');
const { methodNames, solvers } = require('./long-solve.cjs');

(async () => {
  if (isMainThread) {
    for (let round = 0; round < Number(process.argv[2]); round++) {
      const worker = new Worker(__filename, { workerData: round });
      await new Promise((resolve) => worker.once('message', resolve));
      await worker.terminate();
    }
    const { solve, solveSync } = solvers(90)('exact');
    const same = Buffer.from((await solve()).x.buffer).equals(Buffer.from(solveSync().x.buffer));
    console.log(same ? 'alive and right' : 'alive and wrong');
  } else {
    const solver = solvers(150);
    for (let i = 0; i < methodNames.length; i++) {
      solver(methodNames[(i + workerData) % methodNames.length])
        .solve()
        .catch(() => {});
    }
    parentPort.postMessage('started');
  }
})();
