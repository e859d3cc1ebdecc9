/** The computation of a loss and its gradients, with the rows of the layers on the way. */
import { dispose, type Scalar, type Variable } from '@tensorflow/tfjs-core';
import { CgfacError, seedOfRank, timed, uniforms } from '../../adapter-kit';
import { type Capture, type CaptureOptions, capture, NOTHING, type Sampling } from '../capture/capture';
import { type StatisticUpdate, statisticUpdates } from '../capture/running-statistics';
import { KINDS } from '../kinds/kinds';
import { type Block, type Layer, variablesOf } from '../kinds/layer-kind';
import { digests } from '../saving/digest';
import { type TapeNode, variableGradients } from '../tape/tape';
import { gradientsByName, type LossAndGradients } from './gradients';
import type { CheckedCapture, LayerChecks } from './layer-checks';
import type { Meeting } from './meeting';
import type { Recipe } from './recipe';
import type { Step } from './step';

/** What a loss is computed for. */
interface Asked {
  readonly f: () => Scalar;
  /** As it was given. */
  readonly varList: Variable[] | undefined;
  /** Those that are trainable. */
  readonly variables: readonly Variable[];
  /** Whether the gradients go to `applyGradients` as they are, and those of kernels need not be computed. */
  readonly own: boolean;
  readonly iteration: number;
}

/** A loss, its gradients, and the step that they may take. */
interface Computed extends Pick<CheckedCapture, 'failed'> {
  readonly result: LossAndGradients;
  readonly step: Step;
}

const isLayer = (block: Block): block is Layer => 'sites' in block;

/** The share of a batch whose targets are sampled, which ranks agree on. */
function shareOf(recipe: Recipe, checks: LayerChecks, meeting: Meeting | undefined) {
  return (sampling: Sampling, blocks: readonly Block[]): number => {
    const due = blocks.some((block) => isLayer(block) && checks.isDue(block));
    const agreed = meeting ? meeting.sample(sampling, due) : sampling;
    return agreed ? recipe.share(agreed, blocks) : 0;
  };
}

/** A capture whose layers are checked; of ranks one of which has no loss none is. */
function checkedBy(
  checks: LayerChecks,
  captured: Capture,
  grads: LossAndGradients['grads'],
  meeting: Meeting | undefined,
): CheckedCapture {
  if (meeting === undefined) return checks.check(captured, grads);
  meeting.finish();
  const { sampling } = meeting;
  if (sampling === undefined) return { captured, failed: [] };
  const { targets } = sampling;
  return checks.check({ ...captured, targets }, grads, (failed) => meeting.check(captured, failed));
}

/** Computes a loss as {@link CgfacOptimizer.computeGradients} does. */
export function compute(recipe: Recipe, checks: LayerChecks, asked: Asked): Computed {
  const meeting = recipe.begin(asked.variables, asked.iteration);
  try {
    return computed(recipe, checks, asked, meeting);
  } catch (error) {
    meeting?.fail(error);
    throw error;
  }
}

/** What is found of a tape; of a batch without samples, which has no rows, an error that says so. */
function ofSamples<T>(tape: readonly TapeNode[], find: () => T): T {
  try {
    return find();
  } catch (error) {
    const empty = tape.some(({ inputs }) => [...inputs.values()].some(({ size }) => size === 0));
    if (!empty) throw error;
    throw new CgfacError(
      'ERR_CGFAC_SHAPE_MISMATCH',
      'Expected a sample or more in a batch but received none; leave out batches without any',
      { cause: error },
    );
  }
}

function computed(
  recipe: Recipe,
  checks: LayerChecks,
  { f, varList, variables, own, iteration }: Asked,
  meeting: Meeting | undefined,
): Computed {
  const names = new Set(variables.map(({ name }) => name));
  let captured: Capture = NOTHING;
  let statistics: readonly StatisticUpdate[] = [];
  let value = Number.NaN;
  const room = recipe.rooms.open();
  recipe.statistics.bind(digests());
  const result = variableGradients(f, varList, KINDS, (tape, loss, leaveOut) => {
    [value = Number.NaN] = loss.dataSync();
    if (!Number.isFinite(value)) {
      meeting?.unusable();
      return;
    }
    const options: CaptureOptions = {
      share: shareOf(recipe, checks, meeting),
      uniform: uniforms(seedOfRank(recipe.seed, recipe.ranks?.rank ?? 0), iteration),
      lossGrads: true,
      empirical: recipe.fisher === 'empirical',
      kernelsMayBeSkipped: own,
      refused: (layer) => checks.refused(layer) ?? recipe.refused(layer, names),
      checked: (layer) => checks.isDue(layer),
      arrays: checks.arraysAgree,
      room,
    };
    statistics = statisticUpdates(tape, recipe.statistics.wanted);
    captured = ofSamples(tape, () => capture(tape, loss, variables, options));
    // of a variable of this step: another one in the process, of the same size or less, has no part in it
    if (!captured.needsBackward) leaveOut(captured.layers.flatMap(variablesOf));
  });
  try {
    const checked = timed('check', () => checkedBy(checks, captured, result.grads, meeting));
    const step = {
      ...checked.captured,
      iteration,
      loss: value,
      room,
      own,
      statistics,
      computed: gradientsByName(result.grads),
    };
    return { result, step, failed: checked.failed };
  } catch (error) {
    dispose([result.value, result.grads]);
    throw error;
  }
}
