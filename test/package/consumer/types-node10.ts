// Compiled, never run: a project of older templates, which knows nothing of "exports".
import type { Optimizer } from '@tensorflow/tfjs-core';
import { type Communicator, info, LayerPreconditioner } from 'cgfac';
import { connectMpi } from 'cgfac/mpi';
import { cgfac } from 'cgfac/tfjs';

export const threads: number = info().threads;
export const ranks: Promise<Communicator> = connectMpi();
export const optimizer: Optimizer = cgfac({ seed: 1 });

// @ts-expect-error A misspelt option.
export const misspelt = cgfac({ sede: 1 });
// @ts-expect-error lossReduction has no default.
export const incomplete = new LayerPreconditioner({ inFeatures: 3, outFeatures: 2, damping: 1e-3 });
