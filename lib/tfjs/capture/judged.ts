/** Which networks another one judges that the step does not train. */
import { type Tensor, Variable } from '@tensorflow/tfjs-core';
import { type Block, type LayerSite, outputsOf, variablesOf } from '../kinds/layer-kind';
import { dependents } from '../tape/graph';
import type { TapeNode } from '../tape/tape';

/**
 * Whether what the last of the sites give enters a network that is not trained, a critic or frozen features: an op that
 * takes in a table of variables, and leads to no site. What enters it is no output that a step may move however far.
 */
export function isJudged(
  tape: readonly TapeNode[],
  sites: readonly LayerSite[],
  { layers, lone }: { readonly layers: readonly Block[]; readonly lone: readonly { readonly variable: Variable }[] },
): boolean {
  const trained = new Set([...layers.flatMap(variablesOf), ...lone.map(({ variable }) => variable)]);
  const made = outputsOf(sites);
  const reached = dependents(tape, made);
  const tables = new Set<number>();
  return tape.some(({ inputs, outputs }) => {
    const own = [...inputs.values()];
    const isTable = (input: Tensor) =>
      tables.has(input.id) || (input instanceof Variable && input.rank > 1 && !trained.has(input));
    const ids = outputs.map(({ id }) => id);
    // what is made of a table alone is one, as what it is reshaped to
    if (own.length > 0 && own.every(isTable)) for (const id of ids) tables.add(id);
    if (!own.some(isTable) || !own.some(({ id }) => reached.has(id))) return false;
    const behind = dependents(tape, ids);
    return ![...made].some((id) => behind.has(id));
  });
}
