// Compiled, never run: the types that an ES module sees, without TensorFlow.js.
import { CgfacError, ConjugateGradient, FisherOperator, info, LayerPreconditioner } from 'cgfac';
import { type Communicator, connectMpi } from 'cgfac/mpi';

const batch = 4;
const operator = new FisherOperator({
  inputs: new Float32Array(batch * 3),
  outputGrads: new Float32Array(batch * 2),
  batch,
  inFeatures: 3,
  outFeatures: 2,
  damping: { relative: 0.1 },
  lossReduction: 'sum',
});
const solver = new ConjugateGradient({ maxIterations: 10, history: true });

export async function solve(v: Float32Array, signal: AbortSignal): Promise<number> {
  const { residual, reason } = await solver.solve(operator, v, { signal });
  const known: 'converged' | 'max-iterations' | 'stagnated' | 'indefinite' | 'broken-down' = reason;
  return known === 'converged' ? 0 : residual;
}

// @ts-expect-error lossReduction has no default: getting it wrong changes the meaning of the damping.
export const incomplete = new LayerPreconditioner({ inFeatures: 3, outFeatures: 2, damping: 1e-3 });

export function codeOf(error: unknown): string | undefined {
  return error instanceof CgfacError ? error.code : undefined;
}

export const blasThreads: number = info().blas.threads;

export async function sum(values: Float64Array): Promise<Float64Array> {
  const ranks: Communicator = await connectMpi({ timeout: 60_000 });
  return ranks.allreduce(values, 'sum');
}
