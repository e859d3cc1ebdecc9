/**
 * Exactly what an adapter to a framework may use of lib, and the only file of lib that it may import.
 *
 * An adapter captures. It turns a training step of its framework into rows of inputs and of output gradients for every
 * layer, records them with a {@link Preconditioner}, and gives the framework the updates that come back, or the
 * gradients that were rewritten. Arithmetic and the choice of the step are not its business. lib/tfjs is the first
 * adapter; test/support/plain-adapter.ts is the smallest.
 */

/** The processes that train a model together. */
export type { Communicator, Numbers } from './base/communicator';
/** Errors that carry a code. */
export { CgfacError, type CgfacErrorCode } from './base/errors';
/** What options of an adapter's own may take. */
export { kinds } from './base/kinds';
/** The table that options are, and their resolution by it. */
export { is, made, type OptionRows, resolveOptions } from './base/option-table';
/** Uniform numbers by seed and step, which targets are sampled with, and the seeds of several processes. */
export { seedOfRank, type UniformNumbers, uniforms } from './base/random';
/** Code of the caller's, what it throws an error of the package. */
export { elementsOf, reading, unreadable } from './base/reading';
/** Where the time of a step goes, for whoever listens. */
export { timed } from './base/timed';
/** Checks of arguments, each of which throws the error that names the argument. */
export { describe, nonNegative, readOptions, typeError, valueError } from './base/validate';
/** The rows of the sites of a shared layer, one after the other. */
export { concatenated } from './base/vectors';
/** The forms that the numbers of a layer and the damping have. */
export type { Damping, KernelLayout, WeightVector } from './base/weight-vector';
/** Reductions of a framework's arrays, and copies of their numbers to other places, on the pool. */
export {
  type CopiedAxis,
  gatherRows,
  MOST_COPIED_AXES,
  type ReducedExtents,
  type Reduction,
  reduce,
  stridedCopy,
} from './kernels/array-moves';
/** Functions of two arrays, casts, choices and normalised columns, on the pool. */
export { type BinaryFunction, batchNormalization, binaryFunction, castNumbers, selectNumbers } from './kernels/binary';
/** Weighed sums of two arrays, on the pool. */
export { combine } from './kernels/combinations';
/** A framework's convolutions, their gradients, and those of pooling, on the pool. */
export {
  type ConvolutionGeometry,
  convolution,
  convolutionGradient,
  poolingGradient,
} from './kernels/convolutions';
/** Functions of each number, and their gradients, on the pool. */
export {
  type ElementWise,
  type ElementWiseGradient,
  elementWise,
  elementWiseGradient,
} from './kernels/element-wise';
/** How a loss weighs the errors of a head, and the entropy of its targets, on the pool. */
export { headFit, targetEntropy } from './kernels/head-fit';
/** The matrix products of a framework's own kernels, on the pool. */
export { type Activation, type BroadcastNumbers, type MatrixProducts, matrixProducts } from './kernels/matrix-products';
/** The errors of sampled targets, which the true Fisher matrix is made of. */
export { type Distribution, sampledErrors } from './kernels/sampled-errors';
/** Sums of rows by segment, on the pool. */
export { segmentSums } from './kernels/segment-sums';
/** How far a preconditioner has adapted its steps. */
export { type AdaptationState, withoutProduct } from './network/adaptation';
/** The rows of a preconditioner's options, which an adapter's rows may take over. */
export { preconditionerRows } from './network/option-rows';
/** The options of a preconditioner, their resolution, and their values at a step where they are schedules. */
export {
  at,
  type PreconditionerOptions,
  type Preset,
  type ResolvedPreconditionerOptions,
  resolvePreconditionerOptions,
  type Schedule,
  scheduled,
} from './network/options';
/** The preconditioner, what layers are registered with, and its steps in arrays that are lent until the next one. */
export { lentNaturalGradients, type Padding, Preconditioner, type WindowOptions } from './network/preconditioner';
/** Whether variables are the same in all processes. */
export { requireSameVariables } from './network/ranks/drift';
/** The saved state of a preconditioner. */
export type { PreconditionerState, StoredLayer, StoredVector } from './network/state';
/** The norm of a layer's weights. */
export { normOf } from './network/step/limits';
/** How much of each factor of a layer counts, as the summary of a step tells it. */
export type { EffectiveRanks } from './network/step/prepared';
/** What a step did, and the steps that were skipped. */
export type { LayerStepSummary, SkippedSteps, StepSummary } from './network/step/summary';
/** What a preconditioner takes of an adapter and gives back, and what its report says. */
export type {
  LayerVectors,
  NaturalGradientsResult,
  NetworkMemory,
  NetworkReport,
  ReportedFactor,
  ReportedLayer,
  SkippedLayer,
  StepOptions,
} from './network/types';
