// node --expose-gc: nothing but the pending calls holds the objects and arrays.
const { brief, checksum } = require('./layer.cjs');
const start = () => {
  const { preconditioner, vector } = brief(200);
  return preconditioner.precondition(vector);
};
(async () => {
  const pending = Array.from({ length: 8 }, start);
  for (let turn = 0; turn < 10; turn++) {
    globalThis.gc();
    Array.from({ length: 4 }, () => new Float32Array(1_000_000).fill(turn)); // writes over what was freed
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  const sums = new Set((await Promise.all(pending)).map(({ x }) => checksum(x)));
  const { preconditioner, vector } = brief(200);
  sums.add(checksum(preconditioner.preconditionSync(vector).x));
  console.log('different results:', sums.size);
})();
