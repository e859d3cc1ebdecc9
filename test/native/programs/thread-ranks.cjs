// Ranks that are threads of one process: each runs the same program with a communicator over shared memory, whose Sync
// methods wait for the others.
const { Worker, parentPort, workerData } = require('node:worker_threads');

const room = 1 << 20;

/** Collectives over shared memory: each rank writes into a place of its own, and reads all once all have written. */
function communicatorOf(rank, { size, memory, state }) {
  const signals = new Int32Array(state);
  /** Waits until all ranks are here: the last one begins the next round. */
  const barrierSync = () => {
    const round = Atomics.load(signals, 1);
    if (Atomics.add(signals, 0, 1) === size - 1) {
      Atomics.store(signals, 0, 0);
      Atomics.add(signals, 1, 1);
      Atomics.notify(signals, 1);
      return;
    }
    while (Atomics.load(signals, 1) === round) Atomics.wait(signals, 1, round, 10_000);
  };
  const allgathervSync = (values) => {
    const own = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    new Uint8Array(memory, rank * room + 8, own.length).set(own);
    new Float64Array(memory, rank * room, 1)[0] = own.length;
    barrierSync();
    const all = Array.from({ length: size }, (_, from) => {
      const [length] = new Float64Array(memory, from * room, 1);
      const bytes = new Uint8Array(memory, from * room + 8, length).slice();
      return new values.constructor(bytes.buffer, 0, length / values.BYTES_PER_ELEMENT);
    });
    barrierSync();
    return all;
  };
  const alltoallvSync = (parts) =>
    parts.map((part, to) => [to, allgathervSync(part)]).filter(([to]) => to === rank)[0][1];
  const never = () => Promise.reject(new Error('Expected Sync methods alone'));
  return {
    ...{ rank, size, allgathervSync, alltoallvSync, barrierSync },
    bcastSync: (values, root = 0) => allgathervSync(values)[root],
    allreduceSync: (values) => allgathervSync(values).reduce((sum, each) => sum.map((value, at) => value + each[at])),
    ...{ allreduce: never, alltoallv: never, allgatherv: never, bcast: never, barrier: never, finalize: never },
  };
}

/** The communicator of a thread that is one rank of one. */
function oneRank() {
  return communicatorOf(0, { size: 1, memory: new SharedArrayBuffer(room), state: new SharedArrayBuffer(8) });
}

/** Runs a program on so many threads, each of them a rank; what they answered, by rank. */
function startThreads(program, size) {
  const shared = { size, memory: new SharedArrayBuffer(size * room), state: new SharedArrayBuffer(8) };
  const workers = Array.from({ length: size }, (_, rank) => new Worker(program, { workerData: { rank, shared } }));
  return Promise.all(
    workers.map((worker) => new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject))),
  );
}

/** Answers what a rank makes of its communicator. */
async function answer(make) {
  const { rank, shared } = workerData;
  parentPort.postMessage(await make(communicatorOf(rank, shared)));
}

module.exports = { answer, oneRank, startThreads };
