/** What layers of all kinds may say of themselves. */
import { boolean } from '../../base/validate';
import { vectorArrays, type WeightVector } from '../../base/weight-vector';
import type { NetworkShape, ParsedLayer } from './layer-kind';

/** The options that layers of every kind have. */
export interface LayerRole {
  /** The weights of the layer, borrowed for good: updated by `naturalGradients`, averaged, decayed. Default: none. */
  readonly weights?: WeightVector;
  /**
   * Whether it is used again on what it made itself, as a recurrent kernel is: `maxRelativeChange` is a tenth for it.
   * Default: false.
   */
  readonly recurrent?: boolean;
  /**
   * Whether an attention is computed from what it gives, as from queries, keys and values and what these come from:
   * `maxRelativeChange` is a tenth for it. Default: false.
   */
  readonly attended?: boolean;
  /**
   * Whether what its network gives enters a network that the step does not train, as a critic, which makes a loss of it
   * that may have no floor: `maxRelativeChange` is a tenth for it. Default: false.
   */
  readonly judged?: boolean;
  /** Whether what it gives is an output of the network as it is: `maxRelativeChange` is not for it. Default: false. */
  readonly output?: boolean;
}

/** The names of {@link LayerRole}. */
export const roleNames = ['weights', 'recurrent', 'attended', 'judged', 'output'];

/** A layer of that shape with its role, checked. */
export function withRole(shape: NetworkShape, role: LayerRole): ParsedLayer {
  const { weights, ...options } = role;
  const { recurrent = false, attended = false, judged = false, output = false } = options;
  return {
    shape,
    weights: weights === undefined ? undefined : vectorArrays(weights, 'weights', shape),
    recurrent: boolean(recurrent, 'recurrent'),
    attended: boolean(attended, 'attended'),
    judged: boolean(judged, 'judged'),
    output: boolean(output, 'output'),
    options,
  };
}
