// Compiled, never run: the optimizer's type is TensorFlow.js's own, for an ES module.
import type { Optimizer } from '@tensorflow/tfjs-core';
import { cgfac } from 'cgfac/tfjs';

export const optimizer: Optimizer = cgfac({
  learningRate: 1,
  damping: 3e-4,
  klClip: 1e-2,
  maxIterations: 15,
  fisher: 'true',
  seed: 1,
});

// @ts-expect-error A misspelt option.
export const misspelt = cgfac({ dampening: 3e-4 });
