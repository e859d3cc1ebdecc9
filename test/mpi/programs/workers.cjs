// mpirun -n P node workers.cjs WHAT: the connection belongs to a worker_thread.
//   works      it adds the ranks up there, and ends well
//   second     the main thread connects, and the worker is refused
//   throw      rank 1 throws there
//   terminate  rank 1 terminates its worker, with the connection in it
const { Worker, isMainThread, parentPort, workerData } = require('node:worker_threads');
const { connectMpi } = require('cgfac/mpi');

const rank = Number(process.env.OMPI_COMM_WORLD_RANK ?? process.env.PMI_RANK);

async function work() {
  if (workerData === 'throw') {
    const communicator = await connectMpi({ timeout: 20_000 });
    await communicator.barrier();
    if (communicator.rank === 1) throw new Error('a mistake of the worker');
    await communicator.barrier();
  }
  try {
    const communicator = await connectMpi({ timeout: 20_000 });
    if (workerData === 'works') {
      const sum = communicator.allreduceSync(Int32Array.of(communicator.rank));
      await communicator.finalize();
      parentPort.postMessage(`the sum is ${sum}`);
    } else {
      parentPort.postMessage('connected');
      if (communicator.rank !== 1) await communicator.barrier();
      setInterval(() => {}, 1000);
    }
  } catch ({ code }) {
    parentPort.postMessage(code);
  }
}

function workerOf(what) {
  const worker = new Worker(__filename, { workerData: what });
  return new Promise((settle) => worker.once('message', (message) => settle({ worker, message })));
}

async function main() {
  console.log(`process ${process.pid} is rank ${rank}`);
  const [, , what] = process.argv;
  if (what === 'second') {
    const communicator = await connectMpi({ timeout: 20_000 });
    const { message } = await workerOf('works');
    await communicator.finalize();
    console.log(`rank ${rank}: ${message}`);
    return;
  }
  const { worker, message } = await workerOf(what);
  if (what === 'terminate' && rank === 1) await worker.terminate();
  console.log(`rank ${rank}: ${message}`);
}

if (isMainThread) main();
else work();
