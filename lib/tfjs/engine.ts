/** What the optimizer asks of the method behind it: how to capture a step, and what to make of it. */
import type { Tensor, Variable } from '@tensorflow/tfjs-core';
import type { Capture } from './capture';
import type { NamedTensor } from './gradients';
import type { Layer } from './sites';
import type { StepReport } from './step-report';

/** A step's capture and loss. */
export interface Step extends Capture {
  readonly iteration: number;
  readonly loss: number;
  /** Whether the gradients are known to be those that `f` gave. */
  readonly own: boolean;
}

/** What a step makes of the variables. */
export interface Outcome {
  /** New values, tensors of the caller's tidy; none for a step that was skipped. */
  readonly next: readonly (readonly [Variable, Tensor])[];
  readonly report: StepReport;
}

/** A method of the optimizer. */
export interface Engine {
  readonly seed: number;
  readonly fisher: 'true' | 'empirical';
  /** Whether a step's own loss gradients are wanted. */
  readonly lossGrads: boolean;
  /** Whether a step that is not finite is counted and left out, rather than an error. */
  readonly skips: boolean;
  /** The learning rate of plain gradient steps. */
  readonly gradientLearningRate: number;
  /** Why a layer is left to plain gradient steps, if it is. */
  refused(layer: Layer): string | undefined;
  /** The share of the samples whose targets are to be sampled at the step to come. */
  share(soft: boolean): number;
  /** Directions of all layers and steps of the plain variables. Called inside a `tidy`. */
  apply(step: Step, gradients: ReadonlyMap<string, Tensor>): Outcome;
  /** Called once the new values are in place. */
  assigned(step: Step): void;
  /** What has to be kept beside the number of steps and the seed. */
  weights(): NamedTensor[];
  setWeights(weights: readonly NamedTensor[]): Promise<void>;
  setSeed(seed: number): void;
  config(): Readonly<Record<string, unknown>>;
  dispose(): void;
}
