// Calls of one layer that update the same weights, all of them pending at once while the one pool thread is busy, every
// third aborted before its turn.
const { LayerPreconditioner, setThreads } = require('cgfac');
const { numbers } = require('./entries.cjs');
const { endless } = require('./layer.cjs');

const [width, batch, count] = [60, 12, 40];
const layer = { inFeatures: width, outFeatures: width, damping: 1e-2, lossReduction: 'sum' };
const rows = (seed) => ({
  inputs: numbers(batch * width, seed),
  outputGrads: numbers(batch * width, seed + 1),
  lossGrads: numbers(batch * width, seed + 2),
  batch,
});
const isAborted = (i) => i % 3 === 1;

(async () => {
  const expected = numbers(width * width, 99);
  const sync = new LayerPreconditioner(layer);
  for (let i = 0; i < count; i++)
    if (!isAborted(i)) sync.naturalGradientSync({ ...rows(i), applyTo: { weights: expected, learningRate: 0.5 } });

  const weights = numbers(width * width, 99);
  const preconditioner = new LayerPreconditioner(layer);
  setThreads(1);
  const busy = new AbortController();
  endless({ signal: busy.signal }).catch(() => {});
  const pending = Array.from({ length: count }, (_, i) => {
    const controller = new AbortController();
    const applyTo = { weights, learningRate: 0.5 };
    const call = preconditioner.naturalGradient({ ...rows(i), applyTo, signal: controller.signal });
    if (isAborted(i)) controller.abort();
    return call;
  });
  const other = new LayerPreconditioner(layer).naturalGradient({ ...rows(7), applyTo: { weights, learningRate: 1 } });
  const refused = await other.then(
    () => 'accepted',
    ({ code }) => code,
  );
  busy.abort();
  const aborted = (await Promise.allSettled(pending)).filter(({ status }) => status === 'rejected').length;
  const same = Buffer.compare(Buffer.from(weights.buffer), Buffer.from(expected.buffer)) === 0;
  const verdict = refused !== 'ERR_CGFAC_OVERLAP' ? refused : same ? 'right' : 'wrong';
  console.log(`${verdict} after ${count}, ${aborted} of them aborted`);
})();
