// Prints, for several methods, what five layers say that they keep and what the resident set has grown by.
const { LayerPreconditioner } = require('cgfac');

const size = 768;
const batch = 256;
const numbers = (length, seed) => {
  let state = seed;
  return Float32Array.from({ length }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return (state >>> 8) / 2 ** 23 - 1;
  });
};
const rows = { inputs: numbers(batch * size, 1), outputGrads: numbers(batch * size, 2), batch };
const v = numbers(size * size, 3);
const out = numbers(size * size, 4);

const layer = (options) => {
  const preconditioner = new LayerPreconditioner({
    inFeatures: size,
    outFeatures: size,
    damping: 0.5,
    lossReduction: 'sum',
    ...options,
  });
  preconditioner.record(rows);
  for (let time = 0; time < 2; time++) preconditioner.preconditionSync(v, { out });
  return preconditioner;
};
const resident = () => {
  global.gc();
  return process.memoryUsage().rss;
};

const methods = [{ method: 'cg' }, { method: 'exact' }, { dampingMode: 'factored' }, { method: 'kfac' }];
const results = methods.map((options) => {
  layer(options).dispose(); // BLAS buffers, stacks and pages of code
  const before = resident();
  const layers = Array.from({ length: 5 }, () => layer(options));
  const grown = resident() - before;
  const said = layers.reduce((sum, preconditioner) => sum + preconditioner.memoryUsage().total, 0);
  for (const preconditioner of layers) preconditioner.dispose();
  return { method: JSON.stringify(options), said, grown };
});
console.log(JSON.stringify(results));
