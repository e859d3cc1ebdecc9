export {
  CgfacError,
  type CgfacErrorCode,
  type Damping,
  type EffectiveRanks,
  type LayerStepSummary,
  type NetworkMemory,
  type NetworkReport,
  type Preset,
  type ReportedLayer,
  type Schedule,
  type SkippedLayer,
  type SkippedSteps,
  type StepSummary,
} from '../adapter-kit';
export { type InstalledKernels, installKernels, type TfjsKernelRegistry } from './kernels/install';
export { CgfacOptimizer, cgfac, type LossAndGradients } from './optimizer';
export type { CgfacOptions, CgOptimizerOptions, RecipeOptions } from './options';
export type { HeadReport, LoneReport, StepReport } from './step/report';
export type { NamedTensor } from './tape/named-tensor';
