export type { Communicator, Expected, Numbers, ReduceOperation } from './base/communicator';
export { CgfacError, type CgfacErrorCode } from './base/errors';
export { local } from './base/local';
export type { UniformNumbers } from './base/random';
export type { Damping, KernelAndBias, KernelLayout, LossReduction, WeightVector } from './base/weight-vector';
export {
  ConjugateGradient,
  type ConjugateGradientResult,
  type SolveOptions,
} from './layer/conjugate-gradient';
export { type ApplyOptions, FisherOperator } from './layer/fisher-operator';
export type { FactorRows } from './layer/layer';
export { LayerPreconditioner } from './layer/layer-preconditioner';
export type {
  CgOptions,
  CgSummary,
  ConjugateGradientOptions,
  FisherOperatorOptions,
  LayerOptions,
  LayerPreconditionerOptions,
} from './layer/options';
export { type LayerSystem, preconditionAll, preconditionAllSync } from './layer/precondition-all';
export { type SolutionProducts, Spectrum, type SpectrumValues } from './layer/spectrum';
export type { LayerSummary } from './layer/summary';
export type {
  LayerMemory,
  NaturalGradientResult,
  NaturalGradientRows,
  PreconditionOptions,
  PreconditionResult,
  RecordedRows,
} from './layer/types';
export { type Info, info, setThreads } from './native/info';
export type { MethodUsed } from './native/reports';
export type { AdaptationState, LossReport, ReportableStep } from './network/adaptation';
export type { PreconditionerOptions, Preset, Schedule } from './network/options';
export {
  type Conv2dLayerOptions,
  type Conv2dTransposeLayerOptions,
  type DenseLayerOptions,
  type DepthwiseConv2dLayerOptions,
  type DiagonalLayerOptions,
  type EmbeddingLayerOptions,
  type LayerRole,
  type Padding,
  Preconditioner,
  type ScaleShiftLayerOptions,
  type SharingOptions,
  type WindowOptions,
} from './network/preconditioner';
export type { PlannedLayer, PlanOptions, StepPlanOfRanks } from './network/ranks/plan';
export type { SideWay } from './network/ranks/travel';
export type { PreconditionerState, StoredLayer, StoredVector } from './network/state';
export type { EffectiveRanks } from './network/step/prepared';
export type { LayerStepSummary, SkippedSteps, StepSummary } from './network/step/summary';
export type {
  LayerBytes,
  LayerVectors,
  NaturalGradientsOptions,
  NaturalGradientsResult,
  NetworkMemory,
  NetworkReport,
  RecordedBatchRows,
  RecordedFisherRows,
  ReportedFactor,
  ReportedLayer,
  SkippedLayer,
  StepOptions,
} from './network/types';
