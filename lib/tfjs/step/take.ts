/** How a captured step is recorded and taken. */
import type { NaturalGradientsResult, Preconditioner, WeightVector } from '../../adapter-kit';
import type { LayerGradient } from './gradients';
import type { Step } from './step';

/** The rounding of a loss in float32, a mean of many terms, relative to itself. */
const ROUNDING = 1e-5;

function copyOf(vector: LayerGradient): WeightVector {
  return vector.bias ? { kernel: vector.kernel.slice(), bias: vector.bias.slice() } : vector.kernel.slice();
}

/**
 * Takes the part of a step that is its layers', of the rows' own gradients or of those given. An error forgets what was
 * recorded for it.
 *
 * @param names - What the preconditioner calls the layers of the step, in their order.
 * @param lossGrads - The output gradients of the loss, layer by layer.
 * @param gradients - The gradients that are given, where they may hold more than those of the rows.
 */
export function takeStep(
  preconditioner: Preconditioner,
  { layers, loss, floor }: Step,
  names: readonly string[],
  lossGrads: readonly Float32Array[],
  gradients: readonly LayerGradient[] | undefined,
): NaturalGradientsResult {
  // a loss next to its floor may round to less; one that is well below has a wrong floor, which the summary tells
  const lossFloor = loss < floor && floor - loss <= ROUNDING * Math.abs(floor) ? loss : floor;
  const options = { loss, lossFloor };
  try {
    for (const [index, { inputs, samples, sampledGrads }] of layers.entries()) {
      const name = names[index] ?? '';
      preconditioner.record(name, { inputs, lossGrads: lossGrads[index] ?? inputs, batch: samples });
      // sampled errors are those of single samples: a batch of one, as far as its reduction goes
      if (sampledGrads) preconditioner.recordFisher(name, { outputGrads: sampledGrads, batch: 1 });
    }
    if (gradients === undefined) return preconditioner.naturalGradientsSync(options);
    const updates = Object.fromEntries(gradients.map((gradient, index) => [names[index] ?? '', copyOf(gradient)]));
    return { summary: preconditioner.stepSync(updates, options), updates };
  } catch (error) {
    preconditioner.discard();
    throw error;
  }
}
