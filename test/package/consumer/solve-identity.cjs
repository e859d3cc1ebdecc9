// (A ⊗ G + λ) x = v with A and G of one row each, 1: x = v/(1 + λ).
module.exports = async function solveIdentity({ info, LayerPreconditioner }) {
  const layer = new LayerPreconditioner({
    inFeatures: 1,
    outFeatures: 1,
    bias: false,
    damping: 1,
    lossReduction: 'sum',
    method: 'exact',
    dampingMode: 'tikhonov',
  });
  layer.record({ inputs: Float32Array.of(1), outputGrads: Float32Array.of(1), batch: 1 });
  const v = Float32Array.of(3);
  const solutions = [layer.preconditionSync(v).x, (await layer.precondition(v)).x];
  for (const [x] of solutions) if (Math.abs(x - 1.5) > 1e-6) throw new Error(`Expected 1.5 but received ${x}`);
  const { threads } = info();
  return `works with ${threads} thread${threads === 1 ? '' : 's'}`;
};
