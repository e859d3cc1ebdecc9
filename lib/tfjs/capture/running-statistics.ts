/** What a forward pass of training adds to running statistics, as those of batch normalisation. */
import { Variable } from '@tensorflow/tfjs-core';
import { numbersOf } from '../tape/numbers';
import type { TapeNode } from '../tape/tape';

/** How a running statistic was moved by the statistics of batches, V ← β·V + (1 − β)·S, once or several times. */
export interface StatisticUpdate {
  readonly variable: Variable;
  /** β. */
  readonly momentum: number;
  /** The variable before. */
  readonly before: Float32Array;
  /** S of each pass, in their order. */
  readonly batches: readonly Float32Array[];
}

/** V − S and 1 − β of V ← V − (1 − β)·(V − S). */
interface Move {
  readonly difference: Float32Array;
  readonly decay: number;
}

/** The move that a node makes of the product `node` of a difference and a number. */
function moveOf(product: TapeNode | undefined, made: ReadonlyMap<number, TapeNode>): Move | undefined {
  const [difference, decay] = product?.saved ?? [];
  if (product?.kernel !== 'Multiply' || difference === undefined || decay?.size !== 1 || decay.rank !== 0)
    return undefined;
  if (made.get(product.inputs.get('a')?.id ?? Number.NaN)?.kernel !== 'Sub') return undefined;
  const [share = Number.NaN] = numbersOf(decay);
  return share > 0 && share <= 1 ? { difference: numbersOf(difference).slice(), decay: share } : undefined;
}

/** Goes back from what a variable is to what it was, and to the statistics that moved it. */
function updateOf(variable: Variable, moves: readonly Move[]): StatisticUpdate {
  let values = variable.dataSync<'float32'>().slice();
  const batches: Float32Array[] = [];
  for (const { difference, decay } of [...moves].reverse()) {
    batches.unshift(values.map((value, i) => value - (1 - decay) * (difference[i] ?? Number.NaN)));
    values = values.map((value, i) => value + decay * (difference[i] ?? Number.NaN));
  }
  return { variable, momentum: 1 - (moves[0]?.decay ?? Number.NaN), before: values, batches };
}

/**
 * The running statistics that a tape moved, in the form that TensorFlow.js' layers have: variables with one axis that
 * are not trained, which became V − (1 − β)·(V − S).
 *
 * @param wanted - Which of them are read.
 */
export function statisticUpdates(
  tape: readonly TapeNode[],
  wanted: (variable: Variable) => boolean,
): readonly StatisticUpdate[] {
  const made = new Map(tape.flatMap((node) => node.outputs.map(({ id }) => [id, node] as const)));
  const found = new Map<Variable, { readonly moves: Move[]; readonly last: TapeNode }>();
  for (const node of tape) {
    const variable = node.inputs.get('a');
    if (node.kernel !== 'Sub' || !(variable instanceof Variable) || variable.trainable || variable.rank !== 1) continue;
    const move = wanted(variable) && moveOf(made.get(node.inputs.get('b')?.id ?? Number.NaN), made);
    if (move) found.set(variable, { moves: [...(found.get(variable)?.moves ?? []), move], last: node });
  }
  // the last of them is what the variable is now: others were made for another purpose
  return [...found].flatMap(([variable, { moves, last }]) =>
    last.outputs[0]?.dataId === variable.dataId ? [updateOf(variable, moves)] : [],
  );
}
