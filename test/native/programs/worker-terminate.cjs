const { Worker, isMainThread, parentPort } = require('node:worker_threads');
if (isMainThread) {
  (async () => {
    for (let round = 0; round < 3; round++) {
      const worker = new Worker(__filename);
      await new Promise((resolve) => worker.once('message', resolve));
      await worker.terminate();
    }
    const { brief } = require('./layer.cjs'); // the main thread loads the addon last
    const { preconditioner, vector } = brief();
    const { iterations } = await preconditioner.precondition(vector);
    console.log('alive after 3 workers,', iterations, 'iterations');
  })();
} else {
  const { endless } = require('./layer.cjs');
  for (let i = 0; i < 6; i++) endless().catch(() => {});
  parentPort.postMessage('started');
}
