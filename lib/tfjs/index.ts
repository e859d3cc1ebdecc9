export { CgfacError, type CgfacErrorCode } from '../error';
export type { NetworkMemory, NetworkReport } from '../preconditioner';
export type { Preset, Schedule } from '../preconditioner-options';
export type { LayerStepSummary, StepSummary } from '../step-summary';
export type { Damping } from '../weight-vector';
export type { NamedTensor } from './gradients';
export { CgfacOptimizer, cgfac, type LossAndGradients } from './optimizer';
export type { CgfacOptions, CgOptimizerOptions, RecipeOptions } from './options';
export type { BlockReport, PlainReport, StepReport } from './step-report';
