// A solve of each method on layers of a size, nearly all of it in one decomposition where that is large.
const { LayerPreconditioner } = require('cgfac');

const numbers = (length, seed) => {
  const result = new Float32Array(length);
  let state = seed;
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    result[i] = (state >>> 8) / 2 ** 23 - 1;
  }
  return result;
};
exports.numbers = numbers;

const dense = { factorHistory: 'dense' };
const factored = { dampingMode: 'factored' };
const cold = { method: 'cg', warmStart: 'none', tolerance: 0 };
const methods = {
  exact: { method: 'exact' },
  'exact, dense': { ...dense, method: 'exact' },
  'exact, factored': { ...factored, method: 'exact' },
  'exact, factored, dense': { ...dense, ...factored, method: 'exact' },
  'exact, factored, panel': { ...factored, method: 'exact', factorHistory: 'panel' },
  kfac: { method: 'kfac' },
  'kfac, factored': { ...factored, method: 'kfac' },
  sample: { method: 'exact', block: 'sample' },
  'cg, gram': { ...cold, space: 'gram', maxIterations: 60 },
  'cg, weight': { ...cold, space: 'weight', maxIterations: 20 },
};
exports.methodNames = Object.keys(methods);

/** Solves of layers of this size on rows that they have not seen. */
exports.solvers = (n) => {
  const rows = { inputs: numbers(n * n, 1), outputGrads: numbers(n * n, 2), batch: n };
  const v = numbers(n * n, 3);
  return (name) => {
    const options = { inFeatures: n, outFeatures: n, damping: 1e-3, lossReduction: 'sum', ...methods[name] };
    const preconditioner = new LayerPreconditioner(options);
    return {
      solve: (more) => {
        preconditioner.record(rows);
        return preconditioner.precondition(v, more);
      },
      solveAgain: () => preconditioner.precondition(v),
      solveSync: () => {
        preconditioner.record(rows);
        return preconditioner.preconditionSync(v);
      },
    };
  };
};

/**
 * Milliseconds that a wait takes on a machine of one's own, or fewer: those of the clock, or, where others have the
 * processors too, those that this process has computed for.
 */
exports.waited = async (wait) => {
  const cpu = process.cpuUsage();
  const start = performance.now();
  await wait();
  const elapsed = performance.now() - start;
  const { user, system } = process.cpuUsage(cpu);
  return Math.min(elapsed, (user + system) / 1000);
};

/** The bound of such a wait, in milliseconds. */
const LONGEST = 300;
exports.told = (milliseconds) => (milliseconds <= LONGEST ? 'in time' : `late: ${milliseconds.toFixed(0)} ms`);
