const { Worker, isMainThread, parentPort } = require('node:worker_threads');
const { brief, checksum } = require('./layer.cjs');
const solve = async () => {
  const { preconditioner, vector } = brief();
  const results = [preconditioner.preconditionSync(vector), await preconditioner.precondition(vector)];
  return results.map(({ x }) => checksum(x)).join(' ');
};
if (isMainThread) {
  (async () => {
    const workers = Array.from({ length: 3 }, () => new Worker(__filename));
    const answers = await Promise.all([
      solve(),
      ...workers.map((worker) => new Promise((resolve) => worker.once('message', resolve))),
    ]);
    console.log('different results:', new Set(answers).size);
  })();
} else {
  solve().then((answer) => parentPort.postMessage(answer));
}
