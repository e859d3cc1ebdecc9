// node --expose-gc: what is dropped is collected, whatever refers to it, and its memory is freed in time.
const { ConjugateGradient, FisherOperator, LayerPreconditioner } = require('cgfac');

const width = 700;
const layer = { inFeatures: width, outFeatures: width, damping: 0.1, lossReduction: 'sum' };
const rows = {
  inputs: new Float32Array(8 * width).fill(1),
  outputGrads: new Float32Array(8 * width).fill(1),
  batch: 8,
};
const v = new Float32Array(width * width).fill(1);
const out = new Float32Array(width * width);
const turn = () => new Promise(setImmediate);

// Arrays that refer to the operator which has them: nothing else does.
function inCircles() {
  const given = { ...rows, inputs: rows.inputs.slice(), outputGrads: rows.outputGrads.slice() };
  const operator = new FisherOperator({ ...layer, ...given });
  given.inputs.operator = operator;
  given.outputGrads.operator = operator;
  return new WeakRef(operator);
}

const made = {
  layers: () => {
    const preconditioner = new LayerPreconditioner(layer);
    preconditioner.record(rows);
    preconditioner.preconditionSync(v, { out });
  },
  solvers: () => {
    const solver = new ConjugateGradient({ space: 'weight', maxIterations: 2 });
    solver.solveSync(new FisherOperator({ ...layer, ...rows }), v, { out });
  },
};

(async () => {
  const circles = Array.from({ length: 4 }, inCircles);
  await turn();
  globalThis.gc();
  const left = circles.filter((each) => each.deref() !== undefined).length;
  const grown = {};
  for (const [name, make] of Object.entries(made)) {
    const before = process.memoryUsage().rss;
    let highest = before;
    for (let i = 0; i < 300; i++) {
      make(); // without a turn of the event loop
      highest = Math.max(highest, process.memoryUsage().rss);
    }
    grown[name] = (highest - before) / 1e6;
    await turn();
  }
  // all of them together have 609 and more; what the engine lets stand before it collects is its own to choose
  const bounded = Object.entries(grown).map(
    ([name, megabytes]) => `${name} ${megabytes < 300 ? 'bounded' : megabytes}`,
  );
  console.log(`${left} circles left, ${bounded.join(', ')}`);
})();
