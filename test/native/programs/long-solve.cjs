// A solve of each method that takes some tenths of a second, nearly all of it in one decomposition.
const { LayerPreconditioner } = require('cgfac');

const n = 700;
const numbers = (length, seed) => {
  let state = seed;
  return Float32Array.from({ length }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return (state >>> 8) / 2 ** 23 - 1;
  });
};
const rows = { inputs: numbers(n * n, 1), outputGrads: numbers(n * n, 2), batch: n };
const v = numbers(n * n, 3);
const dense = { factorHistory: 'dense', dampingMode: 'factored' };
const methods = {
  exact: { method: 'exact' },
  kfac: { ...dense, method: 'kfac' },
  factored: { method: 'exact', dampingMode: 'factored' },
  dense: { ...dense, method: 'exact' },
  sample: { method: 'exact', block: 'sample' },
  gram: { method: 'cg', space: 'gram', maxIterations: 60, tolerance: 0 },
  weight: { method: 'cg', space: 'weight', maxIterations: 20, tolerance: 0 },
};

/** A solve on rows that the layer has not seen, and how long it takes. */
exports.solver = async (name) => {
  const layer = { inFeatures: n, outFeatures: n, damping: 1e-3, lossReduction: 'sum', ...methods[name] };
  const preconditioner = new LayerPreconditioner(layer);
  const record = () => preconditioner.record(rows);
  const solve = (options) => {
    record();
    return preconditioner.precondition(v, options);
  };
  const start = performance.now();
  await solve();
  const milliseconds = performance.now() - start;
  const solveSync = () => {
    record();
    preconditioner.preconditionSync(v);
  };
  return { solve, solveSync, milliseconds };
};

/** Whether a time is a small part of another; 50 ms are what a busy machine may add to both. */
exports.share = (time, whole) => (time < 0.4 * whole + 50 ? 'soon' : `late: ${time} of ${whole} ms`);
