import * as tf from '@tensorflow/tfjs-core';
import { cgfac } from 'cgfac/tfjs';
import type { NetworkName } from '../autoencoder/model';

/** The methods of the paper's survey that can run here, and the default of `cgfac/tfjs`. */
export const OPTIMIZERS = ['sgd', 'momentum', 'adagrad', 'rmsprop', 'adam', 'kfac', 'cg', 'cgfac'] as const;
/** The name of one of the optimizers. */
export type OptimizerName = (typeof OPTIMIZERS)[number];

/**
 * Learning rates: the best training loss after 50 steps, seed 1, of 3, 10, 30 (sgd), 1, 3, 10 (momentum and adagrad),
 * 0.0003, 0.001, 0.003 (rmsprop) and 0.003, 0.01, 0.03 (adam on the small network; on the deep one it has its default,
 * 0.001).
 */
const RATES: Record<NetworkName, Record<'sgd' | 'momentum' | 'adagrad' | 'rmsprop' | 'adam', number>> = {
  deep: { sgd: 3, momentum: 1, adagrad: 1, rmsprop: 0.001, adam: 0.001 },
  small: { sgd: 10, momentum: 1, adagrad: 3, rmsprop: 0.003, adam: 0.01 },
};

/**
 * An optimizer with its documented settings for a network: for `cgfac` these are the defaults. The bound on the size of
 * a step, `klClip`, is in the units of the loss, a mean over pixels; 1e-3 is the best for 'cg' after 50 steps of the
 * deep network of 3e-4, 1e-3 and 3e-3, and its default damping, relative 10, the best of 3, 10, 30 and 100. 'kfac' has
 * factored damping, relative 1: with its Tikhonov damping the deep network diverged (relative 3) or hardly learned
 * (10).
 */
export function createOptimizer(name: OptimizerName, network: NetworkName, seed: number): tf.Optimizer {
  const rates = RATES[network];
  switch (name) {
    case 'sgd':
      return tf.train.sgd(rates.sgd);
    case 'momentum':
      return tf.train.momentum(rates.momentum, 0.9);
    case 'adagrad':
      return tf.train.adagrad(rates.adagrad);
    case 'rmsprop':
      return tf.train.rmsprop(rates.rmsprop);
    case 'adam':
      return tf.train.adam(rates.adam);
    case 'kfac':
      return cgfac({
        method: 'kfac',
        dampingMode: 'factored',
        damping: { relative: 1 },
        klClip: 1e-3,
        inverseUpdateSteps: 5,
        seed,
      });
    case 'cg':
      return cgfac({ method: 'cg', klClip: 1e-3, seed });
    case 'cgfac':
      return cgfac({ seed });
  }
}
