export { ConjugateGradient, type ConjugateGradientOptions, type ConjugateGradientResult, type SolveOptions } from './conjugate-gradient';
export { CgfacError, type CgfacErrorCode } from './error';
export { type ApplyOptions, FisherOperator, type FisherOperatorOptions } from './fisher-operator';
export { type Info, info, setThreads } from './info';
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
} from './layer-preconditioner';
export type { EffectiveRanks, FactorRows } from './network-layer';
export type { ReportedLayer, SkippedLayer } from './network-types';
export type { CgOptions, CgSummary, LayerOptions } from './options';
export { type LayerSystem, preconditionAll, preconditionAllSync } from './precondition-all';
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
} from './preconditioner';
export type { PreconditionerOptions, Preset, Schedule } from './preconditioner-options';
export { type SolutionProducts, Spectrum, type SpectrumValues } from './spectrum';
export type { LayerStepSummary, SkippedSteps, StepSummary } from './step-summary';
export type { Damping, KernelAndBias, KernelLayout, LossReduction, WeightVector } from './weight-vector';
