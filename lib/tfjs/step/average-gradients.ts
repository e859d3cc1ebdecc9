import { type NamedTensorMap, type Tensor, tensor } from '@tensorflow/tfjs-core';
import { type Communicator, concatenated, reading, typeError } from '../../adapter-kit';
import { requireGradient } from './given';
import { requireCommunicator, requireSameWords } from './ranks';

/**
 * The mean of the gradients of all ranks, each of which has as many samples as the others, for training loops with
 * another optimizer than {@link cgfac}, which sees to it itself. A collective: all ranks call it with gradients of the
 * same variables, in the same order, and get the same bits.
 *
 * @param gradients - By the names of their variables, those of `tf.variableGrads` say; they stay the caller's.
 * @param communicator - The ranks that train together.
 * @returns New tensors, which the caller disposes of.
 * @throws {@link CgfacError} `ERR_CGFAC_INVALID_ARG_TYPE` for anything but float32 gradients and a communicator,
 * `ERR_CGFAC_DISPOSED` for a gradient that was disposed of; `ERR_CGFAC_COMMUNICATION` on all ranks, where one has
 * others, or has refused its own.
 */
export function averageGradients(gradients: NamedTensorMap, communicator: Communicator): NamedTensorMap {
  const ranks = requireCommunicator(communicator, 'averageGradients');
  const size = reading('a communicator', 'communicator', () => ranks.size);
  let given: readonly (readonly [string, Tensor])[] = [];
  const shapes = () => {
    if (typeof gradients !== 'object' || gradients === null) throw typeError('an object', 'gradients', gradients);
    const entries = reading('an object that can be read', 'gradients', () => Object.entries(gradients));
    given = entries.map(([name, gradient]) => [name, requireGradient(gradient, `gradients.${name}`)]);
    return JSON.stringify(given.map(([name, { shape }]) => [name, shape]));
  };
  requireSameWords(ranks, shapes, 'gradients of the same variables');
  const sums = ranks.allreduceSync(concatenated(given.map(([, gradient]) => gradient.dataSync<'float32'>())));
  if (sums.length === 0) return {};
  let at = 0;
  return Object.fromEntries(
    given.map(([name, { shape, size: length }]) => {
      const mean = sums.slice(at, at + length).map((sum) => sum / size);
      at += length;
      return [name, tensor(mean, shape)];
    }),
  );
}
