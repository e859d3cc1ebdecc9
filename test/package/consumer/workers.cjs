// The package in the main thread and in two workers at once, and in the main thread again when they have gone.
const { Worker } = require('node:worker_threads');
const cgfac = require('cgfac');
const solveIdentity = require('./solve-identity.cjs');

const code = `
  const { parentPort } = require('node:worker_threads');
  require('./solve-identity.cjs')(require('cgfac')).then((said) => parentPort.postMessage(said));
`;

async function main() {
  await solveIdentity(cgfac);
  const workers = [1, 2].map(() => new Worker(code, { eval: true }));
  const said = await Promise.all(
    workers.map((worker) => new Promise((settle, fail) => worker.once('message', settle).once('error', fail))),
  );
  await Promise.all(workers.map((worker) => worker.terminate()));
  await solveIdentity(cgfac);
  console.log(`2 workers: ${said.join('; ')}`);
}

main();
