import { type NamedTensorMap, tensor } from '@tensorflow/tfjs-core';
import { type Communicator, concatenated, typeError } from '../../adapter-kit';
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
 * `ERR_CGFAC_COMMUNICATION` on all ranks, where one has others, or has refused its own.
 */
export function averageGradients(gradients: NamedTensorMap, communicator: Communicator): NamedTensorMap {
  const ranks = requireCommunicator(communicator, 'averageGradients');
  const shapes = () => {
    if (typeof gradients !== 'object' || gradients === null) throw typeError('an object', 'gradients', gradients);
    return JSON.stringify(
      Object.entries(gradients).map(([name, gradient]) => {
        if (gradient?.dtype === 'float32') return [name, gradient.shape];
        throw typeError('a float32 tensor', `gradients.${name}`, gradient?.dtype);
      }),
    );
  };
  requireSameWords(ranks, shapes, 'gradients of the same variables');
  const numbers = concatenated(Object.values(gradients).map((gradient) => gradient.dataSync<'float32'>()));
  const sums = ranks.allreduceSync(numbers);
  if (sums.length === 0) return {};
  let at = 0;
  return Object.fromEntries(
    Object.entries(gradients).map(([name, { shape, size }]) => {
      const mean = sums.slice(at, at + size).map((sum) => sum / ranks.size);
      at += size;
      return [name, tensor(mean, shape)];
    }),
  );
}
