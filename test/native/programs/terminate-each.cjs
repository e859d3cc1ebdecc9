// node terminate-each.cjs ROUNDS: a worker is terminated while every call is pending, with arrays of nobody else.
const { Worker, isMainThread, parentPort } = require('node:worker_threads');
const { entries } = require('./entries.cjs');

if (isMainThread) {
  (async () => {
    for (let round = 0; round < Number(process.argv[2]); round++) {
      const worker = new Worker(__filename);
      await new Promise((resolve) => worker.once('message', resolve));
      await worker.terminate();
    }
    const { start, sync, arrays } = entries.solve;
    const same = Buffer.compare(Buffer.from((await start(arrays())).buffer), Buffer.from(sync(arrays()).buffer)) === 0;
    console.log(same ? 'alive and right' : 'alive and wrong');
  })();
} else {
  for (let time = 0; time < 4; time++)
    for (const { start, arrays } of Object.values(entries)) start(arrays()).catch(() => {});
  parentPort.postMessage('started');
}
