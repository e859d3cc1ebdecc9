// Ranks on threads of their own, whose Sync methods wait for each other: the steps of one process, a step that one rank
// skips, and the state on rank 0.
const { Worker, isMainThread, parentPort, workerData } = require('node:worker_threads');
const { Preconditioner } = require('cgfac');

const size = 2;
const steps = 6;
const skipped = 3;
const room = 1 << 20;
const shape = { inFeatures: 9, outFeatures: 5, bias: false };
const numbers = (length, seed) => Float32Array.from({ length }, (_, at) => Math.sin(seed + 1.7 * at));

/** Collectives over shared memory: each rank writes into a place of its own, and reads all once all have written. */
function communicatorOf(rank, { memory, state }) {
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
    allreduceSync: never,
    ...{ allreduce: never, alltoallv: never, allgatherv: never, bcast: never, barrier: never, finalize: never },
  };
}

/** The weights after all steps, what was skipped, and whether there is a state. */
function trained(ranks, communicator) {
  const weights = numbers(45, 1);
  const own = communicator ? { communicator, ownerRows: 'all' } : {};
  const preconditioner = new Preconditioner({ lossReduction: 'mean', ...own });
  preconditioner.registerDense('layer', { ...shape, weights });
  const found = [];
  for (let step = 0; step < steps; step++) {
    for (const rank of ranks) {
      const rows = { inputs: numbers(4 * 9, step + rank), lossGrads: numbers(4 * 5, step + rank + 50), batch: 4 };
      preconditioner.record('layer', rows);
      preconditioner.recordFisher('layer', { outputGrads: numbers(4 * 5, step + rank + 90), batch: 4 });
    }
    if (step === skipped && ranks.includes(0)) found.push(preconditioner.skip('the head is not known').skipped);
    else found.push(preconditioner.naturalGradientsSync({ loss: 1 }).summary.skipped);
  }
  const state = communicator ? preconditioner.gatherStateSync() : preconditioner.stateDict();
  if (communicator) preconditioner.scatterStateSync(state);
  return { weights: Buffer.from(weights.buffer).toString('hex'), found, state: JSON.stringify(state?.layers.layer) };
}

if (isMainThread) {
  (async () => {
    const shared = { memory: new SharedArrayBuffer(size * room), state: new SharedArrayBuffer(8) };
    const workers = Array.from({ length: size }, (_, rank) => new Worker(__filename, { workerData: { rank, shared } }));
    const ends = await Promise.all(
      workers.map((worker) => new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject))),
    );
    const alone = trained([0, 1], undefined);
    console.log('weights:', new Set([alone, ...ends].map(({ weights }) => weights)).size);
    console.log('skipped:', ends.map(({ found }) => found.filter(Boolean).join()).join('; '));
    console.log('state:', ends[0].state === alone.state, ends[1].state);
  })();
} else {
  const { rank, shared } = workerData;
  parentPort.postMessage(trained([rank], communicatorOf(rank, shared)));
}
