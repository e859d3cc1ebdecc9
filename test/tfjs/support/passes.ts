/** What tests of backward passes have in common: a model on a tape, and its products, which the passes end at. */
import * as tf from '@tensorflow/tfjs-core';
import { KINDS } from '../../../lib/tfjs/kinds/kinds';
import { dependents } from '../../../lib/tfjs/tape/graph';
import { type TapeNode, variableGradients, withoutRecording } from '../../../lib/tfjs/tape/tape';

/** Whether an op is a product. */
export const isProduct = ({ kernel }: TapeNode) => kernel === 'BatchMatMul' || kernel === '_FusedMatMul';

/** A model that has run. */
export interface OnTape {
  readonly tape: readonly TapeNode[];
  readonly output: tf.Tensor;
  /** The products of the model, and the ids of all that leads to them. */
  readonly sites: readonly TapeNode[];
  readonly within: ReadonlySet<number>;
}

/** Runs a model, and has `pass` go back from its output, all of it unrecorded and in a `tidy` of its own. */
export function onTape(
  model: (x: tf.Tensor) => tf.Tensor,
  variables: tf.Variable[],
  x: tf.Tensor,
  pass: (made: OnTape) => void,
): void {
  let output: tf.Tensor = x;
  const loss = () => {
    output = model(x);
    return tf.mean(output) as tf.Scalar;
  };
  const { value, grads } = variableGradients(loss, variables, KINDS, (tape) => {
    const sites = tape.filter(isProduct);
    const ids = sites.flatMap(({ outputs }) => outputs.map(({ id }) => id));
    withoutRecording(() => tf.tidy(() => pass({ tape, output, sites, within: dependents(tape, ids) })));
  });
  tf.dispose([value, grads]);
}
