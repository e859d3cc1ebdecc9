// What the programs of this folder share: a solve that takes long, and one that is quick.
const { ConjugateGradient, FisherOperator, LayerPreconditioner } = require('cgfac');

const layer = { inFeatures: 400, outFeatures: 300, damping: 1e-20, lossReduction: 'sum' };
const batch = 64;
const numbers = (length, seed) => {
  let state = seed;
  return Float32Array.from({ length }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return (state >>> 8) / 2 ** 23 - 1;
  });
};
const rows = () => ({ inputs: numbers(batch * 400, 1), outputGrads: numbers(batch * 300, 2), batch });
const vector = () => numbers(400 * 300, 3);

/** Runs until it is cancelled: the damping is far too small for it to converge. */
exports.endless = (options) =>
  new ConjugateGradient({ maxIterations: 2 ** 31 - 1, tolerance: 0, space: 'weight' }).solve(
    new FisherOperator({ ...layer, ...rows() }),
    vector(),
    options,
  );

/** Iterations on a recorded batch, some milliseconds of them. */
exports.brief = (maxIterations = 20) => {
  const preconditioner = new LayerPreconditioner({
    ...layer,
    damping: 1e-6,
    maxIterations,
    tolerance: 0,
    space: 'gram',
  });
  preconditioner.record(rows());
  return { preconditioner, vector: vector() };
};

exports.checksum = (x) =>
  Buffer.from(x.buffer, x.byteOffset, x.byteLength).reduce((sum, byte) => (sum * 31 + byte) >>> 0, 7);
