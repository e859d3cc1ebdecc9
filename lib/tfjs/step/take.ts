/** How a captured step is recorded and taken. */
import {
  lentNaturalGradients,
  type NaturalGradientsResult,
  normOf,
  type Preconditioner,
  timed,
  type WeightVector,
} from '../../adapter-kit';
import { type Block, partsOf } from '../kinds/layer-kind';
import { readPart, whole } from '../kinds/part';
import { numbersOf, times } from '../tape/numbers';
import type { GradientReader, LayerGradient } from './gradients';
import type { LoneStep } from './lone-step';
import type { Step } from './step';

/** The rounding of a loss in float32, a mean of many terms, relative to itself. */
const ROUNDING = 1e-5;

/** A copy of a gradient, in the form that a preconditioner takes. */
export function copyOf(vector: LayerGradient): WeightVector {
  return vector.bias ? { kernel: vector.kernel.slice(), bias: vector.bias.slice() } : vector.kernel.slice();
}

/** A gradient in that form, as it is. */
const asGiven = ({ kernel, bias }: LayerGradient): WeightVector => (bias ? { kernel, bias } : kernel);

/** ‖W‖ of kernels and their biases by name, each read when it is asked for. */
export function normsOf(
  layers: readonly { readonly name: string; readonly layer: Block }[],
): Readonly<Record<string, number>> {
  return Object.defineProperties(
    {},
    Object.fromEntries(
      layers.map(({ name, layer }) => {
        const get = () => normOf(partsOf(layer).map((part) => readPart(part, numbersOf(part.variable))));
        return [name, { get, enumerable: true }];
      }),
    ),
  );
}

/** Hands the rows of layers, and the gradients of lone variables, to the preconditioner. */
function record(
  preconditioner: Preconditioner,
  { layers, samples: batch, sampled }: Step,
  names: readonly string[],
  lone: readonly LoneStep[],
  lossGrads: readonly (readonly Float32Array[])[],
  fisher: 'true' | 'empirical',
): void {
  for (const [index, { sites, siteInputs, samples, siteSampled }] of layers.entries()) {
    const name = names[index] ?? '';
    const batches = sites.map(({ rows }) => (rows % samples === 0 ? samples : rows));
    const largest = Math.max(...batches);
    if (siteInputs.length > 0) sites[0].resize?.(preconditioner, name);
    for (const [site, inputs] of siteInputs.entries()) {
      const batch = batches[site] ?? samples;
      const own = lossGrads[index]?.[site];
      // each batch's gradients are multiplied by its size, and the sum is divided by that of the largest
      const rows = own && { lossGrads: times(own, largest / batch) };
      preconditioner.record(name, { inputs, ...rows, batch, site });
    }
    // sampled errors are those of single samples: a batch of one, as far as its reduction goes
    for (const outputGrads of siteSampled ?? [])
      preconditioner.recordFisher(name, { outputGrads, batch: 1, forFactors: fisher === 'true' });
  }
  for (const { name, lossGrads, outputGrads } of lone) {
    preconditioner.record(name, { lossGrads, batch });
    if (outputGrads === undefined) continue;
    preconditioner.recordFisher(name, { outputGrads, batch: sampled, forFactors: fisher === 'true' });
  }
}

/** Makes ready for a step; where that fails, other ranks are told. */
export function ready<T>(preconditioner: Preconditioner, make: () => T): T {
  try {
    return make();
  } catch (error) {
    preconditioner.abandon(error);
    throw error;
  }
}

/** How a step is taken. */
interface Manner {
  /** Whether all gradients are given, since they may hold more than those of the rows. */
  readonly all: boolean;
  /** What the output factors are made of. */
  readonly fisher: 'true' | 'empirical';
  /** L_min where it is given. */
  readonly lossFloor: number | undefined;
  /** The decay of the layers' weights, which follows the step. */
  readonly weightDecay: number;
}

/**
 * Takes a step, of the rows' own gradients or of those given. An error forgets what was recorded for it.
 *
 * @param names - What the preconditioner calls the layers of the step, in their order.
 * @param lone - The lone variables that take part.
 * @param lossGrads - The output gradients of the loss, layer by layer and site by site.
 * @param gradients - The gradients of layers whose own is not that of their rows; of all where `all`.
 */
export function takeStep(
  preconditioner: Preconditioner,
  step: Step,
  names: readonly string[],
  lone: readonly LoneStep[],
  lossGrads: readonly (readonly Float32Array[])[],
  gradients: readonly GradientReader[],
  { all, fisher, lossFloor: given, weightDecay }: Manner,
): NaturalGradientsResult {
  const { layers, loss, floor: found, assumedFloor, assumedCurvature, targets } = step;
  const floor = given ?? found;
  // a loss next to its floor may round to less; one that is well below has a wrong floor, which the summary tells
  const rounded = floor !== undefined && loss < floor && floor - loss <= ROUNDING * Math.abs(floor);
  const lossFloor = rounded ? loss : floor;
  const weightNorms = normsOf([
    ...layers.map((layer, index) => ({ name: names[index] ?? '', layer })),
    ...lone.map(({ name, variable }) => ({ name, layer: { kernel: whole(variable), bias: undefined } })),
  ]);
  const depths = Object.fromEntries(
    layers.flatMap(({ depth }, index) => (depth === undefined ? [] : [[names[index] ?? '', depth] as const])),
  );
  const assumed = assumedFloor === undefined ? {} : { assumedFloor };
  const known = lossFloor === undefined ? assumed : { lossFloor };
  // factors of the training gradients assume nothing
  const share = fisher === 'empirical' ? 0 : assumedCurvature;
  const curvature = share === undefined ? {} : { assumedCurvature: share };
  const options = { loss, targets, weightNorms, depths, weightDecay, ...known, ...curvature };
  const vectors = (vectorOf: (gradient: LayerGradient) => WeightVector, chosen: readonly LoneStep[]) =>
    Object.fromEntries([
      ...gradients.flatMap((read, index) => (read ? [[names[index] ?? '', vectorOf(read())] as const] : [])),
      ...chosen.map(({ name, gradient: kernel }) => [name, vectorOf({ kernel, bias: undefined })] as const),
    ]);
  const updates = ready(preconditioner, () => {
    timed('record', () => record(preconditioner, step, names, lone, lossGrads, fisher));
    // what only reads gradients gets them where they lie: it computes nothing by TensorFlow.js
    if (all) return vectors(copyOf, lone);
    return vectors(
      asGiven,
      lone.filter(({ given }) => given),
    );
  });
  try {
    if (!all) return lentNaturalGradients(preconditioner, { ...options, gradients: updates });
    return { summary: preconditioner.stepSync(updates, options), updates };
  } catch (error) {
    preconditioner.discard();
    throw error;
  }
}
