// Compiled, never run: the optimizer's type is TensorFlow.js's own, for a CommonJS module.
import type { Optimizer } from '@tensorflow/tfjs-core';

import adapter = require('cgfac/tfjs');

export const optimizer: Optimizer = adapter.cgfac({
  learningRate: 1,
  damping: 3e-4,
  klClip: 1e-2,
  maxIterations: 15,
  fisher: 'true',
  seed: 1,
});

// @ts-expect-error A misspelt option.
export const misspelt = adapter.cgfac({ dampening: 3e-4 });
