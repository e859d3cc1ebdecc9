/** A layer that calls are made of. */
import type { Damping, LayerPreconditionerOptions } from 'cgfac';

/** A shape, and how it is solved for. */
export interface LayerCase {
  readonly options: LayerPreconditionerOptions<boolean>;
  readonly inFeatures: number;
  readonly outFeatures: number;
  readonly bias: boolean;
  readonly damping: Damping;
}
