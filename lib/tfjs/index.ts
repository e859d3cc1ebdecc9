export { CgfacError, type CgfacErrorCode } from '../error';
export type { Damping } from '../weight-vector';
export type { NamedTensor } from './gradients';
export { type InstalledKernels, installKernels, type TfjsKernelRegistry } from './kernels';
export { CgfacOptimizer, cgfac, type LossAndGradients } from './optimizer';
export type { CgfacOptions } from './options';
export type { BlockReport, PlainReport, StepReport } from './step-report';
