/** The loss that the caller's function returns. */
import { type Scalar, Tensor, Variable } from '@tensorflow/tfjs-core';
import { CgfacError, reading, typeError } from '../../adapter-kit';

const LOSS = 'the loss that f returns';

/** Whether a value is a tensor that was made by a computation after the id `first` was given, and no variable. */
export function isMadeSince(first: number, value: unknown): value is Tensor {
  return reading('a scalar', LOSS, () => value instanceof Tensor && !(value instanceof Variable) && value.id > first);
}

/**
 * Checks that a value is a scalar whose number can be read.
 *
 * @throws {@link CgfacError} `ERR_CGFAC_INVALID_ARG_TYPE`; `ERR_CGFAC_DISPOSED` for one that was disposed of.
 */
export function requireScalar(value: unknown): Scalar {
  const found = reading('a scalar', LOSS, () => {
    if (!(value instanceof Tensor) || typeof value.dataSync !== 'function') return undefined;
    return { shape: [...value.shape], dtype: value.dtype, isDisposed: value.isDisposed };
  });
  if (found === undefined) throw typeError('a scalar', LOSS, value);
  const { shape, dtype, isDisposed } = found;
  if (isDisposed)
    throw new CgfacError('ERR_CGFAC_DISPOSED', `Expected a scalar for ${LOSS} but received one that was disposed of`);
  const received = shape.length > 0 ? `a tensor of shape ${shape.join(' × ')}` : `one of ${dtype}`;
  if (shape.length > 0 || dtype === 'string' || dtype === 'complex64')
    throw new CgfacError('ERR_CGFAC_INVALID_ARG_TYPE', `Expected a scalar for ${LOSS} but received ${received}`);
  return value as Scalar;
}
