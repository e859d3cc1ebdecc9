export { CgfacError, type CgfacErrorCode } from './base/errors';
export type { Damping, KernelAndBias, KernelLayout, LossReduction, WeightVector } from './base/weight-vector';
export {
  ConjugateGradient,
  type ConjugateGradientOptions,
  type ConjugateGradientResult,
  type SolveOptions,
} from './layer/conjugate-gradient';
export { type ApplyOptions, FisherOperator, type FisherOperatorOptions } from './layer/fisher-operator';
export {
  type LayerMemory,
  LayerPreconditioner,
  type LayerPreconditionerOptions,
  type LayerSummary,
  type NaturalGradientResult,
  type NaturalGradientRows,
  type PreconditionOptions,
  type PreconditionResult,
  type RecordedRows,
} from './layer/layer-preconditioner';
export type { CgOptions, CgSummary, LayerOptions } from './layer/options';
export { type LayerSystem, preconditionAll, preconditionAllSync } from './layer/precondition-all';
export { type SolutionProducts, Spectrum, type SpectrumValues } from './layer/spectrum';
export { type Info, info, setThreads } from './native/info';
export type { EffectiveRanks, FactorRows } from './network/layer';
export type { PreconditionerOptions, Preset, Schedule } from './network/options';
export {
  type AdaptationState,
  type DenseLayerOptions,
  type LayerVectors,
  type LossReport,
  type NaturalGradientsResult,
  type NetworkMemory,
  type NetworkReport,
  Preconditioner,
  type PreconditionerState,
  type RecordedBatchRows,
  type RecordedFisherRows,
  type ReportableStep,
  type StepOptions,
  type StoredLayer,
  type StoredVector,
} from './network/preconditioner';
export type { LayerStepSummary, SkippedSteps, StepSummary } from './network/step/summary';
export type { ReportedLayer, SkippedLayer } from './network/types';
