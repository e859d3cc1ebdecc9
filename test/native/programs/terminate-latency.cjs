// How soon a worker_thread ends within solves of 2000 × 2000 on 2000 rows, two methods at a time, or within one that
// blocks it; then the main thread solves.
const { Worker, isMainThread, parentPort, workerData } = require('node:worker_threads');
const { methodNames, solvers, told, waited } = require('./long-solve.cjs');

async function terminated(data) {
  const worker = new Worker(__filename, { workerData: data });
  await new Promise((resolve) => worker.once('message', resolve));
  await new Promise((resolve) => setTimeout(resolve, 150));
  return waited(() => worker.terminate());
}

const pairs = methodNames.flatMap((name, i) => (i % 2 === 0 ? [[name, methodNames[i + 1]]] : []));

(async () => {
  if (isMainThread) {
    for (const names of pairs) {
      const wait = await terminated({ names });
      console.log(`${names.join(' and ')}: ${told(wait)}`);
      if (process.argv[2] === 'figures') console.log(Math.round(wait), 'ms');
    }
    const wait = await terminated({ names: ['exact'], sync: true });
    console.log(`exact, at once: ${told(wait)}`);
    console.log('alive', (await solvers(50)('exact').solve()).x.length);
  } else {
    const solver = solvers(2000);
    const begun = workerData.names.map((name) => solver(name));
    parentPort.postMessage('at work');
    await Promise.all(begun.map(({ solve, solveSync }) => (workerData.sync ? solveSync() : solve())));
    await new Promise((resolve) => setTimeout(resolve, 10_000)); // it was too quick: terminated asleep
  }
})();
