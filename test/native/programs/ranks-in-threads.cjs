// Ranks on threads of their own, whose Sync methods wait for each other: the steps of one process, a step that one rank
// skips, and the state on rank 0.
const { isMainThread } = require('node:worker_threads');
const { Preconditioner } = require('cgfac');
const { answer, startThreads } = require('./thread-ranks.cjs');

const size = 2;
const steps = 6;
const skipped = 3;
const shape = { inFeatures: 9, outFeatures: 5, bias: false };
const numbers = (length, seed) => Float32Array.from({ length }, (_, at) => Math.sin(seed + 1.7 * at));

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
    const ends = await startThreads(__filename, size);
    const alone = trained([0, 1], undefined);
    console.log('weights:', new Set([alone, ...ends].map(({ weights }) => weights)).size);
    console.log('skipped:', ends.map(({ found }) => found.filter(Boolean).join()).join('; '));
    console.log('state:', ends[0].state === alone.state, ends[1].state);
  })();
} else {
  answer((communicator) => trained([communicator.rank], communicator));
}
