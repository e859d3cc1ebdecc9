export { ConjugateGradient, type ConjugateGradientOptions, type ConjugateGradientResult, type SolveOptions } from './conjugate-gradient';
export { CgfacError, type CgfacErrorCode } from './error';
export { type ApplyOptions, FisherOperator, type FisherOperatorOptions } from './fisher-operator';
export { type Info, info } from './info';
export {
  LayerPreconditioner,
  type LayerPreconditionerOptions,
  type PreconditionOptions,
  type PreconditionResult,
  type RecordedRows,
} from './layer-preconditioner';
export type { CgOptions, CgSummary, LayerOptions } from './options';
export type { Damping, KernelAndBias, KernelLayout, LossReduction, WeightVector } from './weight-vector';
