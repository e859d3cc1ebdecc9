export {
  CgfacError,
  type CgfacErrorCode,
  type Communicator,
  type Damping,
  type EffectiveRanks,
  type LayerStepSummary,
  type NetworkMemory,
  type NetworkReport,
  type Preset,
  type ReportedFactor,
  type ReportedLayer,
  type Schedule,
  type SkippedLayer,
  type SkippedSteps,
  type StepSummary,
} from '../adapter-kit';
export type { FitCallback, Logs } from './callbacks/callback';
export { type TensorBoardOptions, tensorBoard } from './callbacks/tensor-board';
export { type LineStream, type TrainingLineOptions, trainingLine } from './callbacks/training-line';
export { type InstalledKernels, installKernels, type KernelCalls, type TfjsKernelRegistry } from './kernels/install';
export { CgfacOptimizer, cgfac } from './optimizer';
export type { CgfacOptions, CgOptimizerOptions, RecipeOptions } from './options';
export { averageGradients } from './step/average-gradients';
export type { LossAndGradients } from './step/gradients';
export type { HeadReport, LoneReport, OptimizerReport, SkippedVariable, StepReport } from './step/report';
export { type ElementReader, type ShardableDataset, shard } from './step/shard';
export type { NamedTensor } from './tape/named-tensor';
