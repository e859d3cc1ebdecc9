/** A step between the optimizer, which captures it, and the recipe, which takes it. */
import type { Tensor } from '@tensorflow/tfjs-core';
import type { Capture } from '../capture/capture';
import type { StatisticUpdate } from '../capture/running-statistics';
import type { LoneVariable } from '../capture/sites';
import type { Room } from '../tape/room';
import type { KnownLayer } from './layers';
import type { NextValues } from './next-values';
import type { StepReport } from './report';

/** A step's capture and loss. */
export interface Step extends Capture {
  readonly iteration: number;
  readonly loss: number;
  /** What the forward pass made of running statistics. */
  readonly statistics: readonly StatisticUpdate[];
  /** Where its rows lie. */
  readonly room: Room;
  /** Whether the gradients are known to be those that `f` gave. */
  readonly own: boolean;
  /** The gradients that `f` gave, by the names of the variables; the caller owns them. */
  readonly computed: ReadonlyMap<string, Tensor>;
}

/** A step of gradients of variables that earlier steps have met, none of a computation that was captured for it. */
export interface KeptStep extends Pick<Step, 'iteration' | 'heads'> {
  /** What tells it from a captured one. */
  readonly kept: true;
  /** The layers and lone variables that gradients are given of. */
  readonly layers: readonly KnownLayer[];
  /** The lone variables among them, and why they are. */
  readonly lone: readonly LoneVariable[];
}

/** What a step makes of the variables. */
export interface StepOutcome {
  /** What becomes of the variables; nothing in a step that was skipped. */
  readonly next: NextValues;
  readonly report: StepReport;
}
