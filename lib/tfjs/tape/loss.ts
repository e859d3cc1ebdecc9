/** The loss that the caller's function returns. */
import { type DataType, type Scalar, Tensor, Variable } from '@tensorflow/tfjs-core';
import { CgfacError, reading, typeError } from '../../adapter-kit';

/** What can be told of a tensor without a look at its numbers. */
export interface TensorForm {
  readonly dtype: DataType;
  readonly shape: readonly number[];
  /** Whether it was disposed of. */
  readonly isDisposed: boolean;
}

const LOSS = 'the loss that f returns';

/** Whether a value is a tensor that was made by a computation after the id `first` was given, and no variable. */
export function isMadeSince(first: number, value: unknown): value is Tensor {
  return reading('a scalar', LOSS, () => value instanceof Tensor && !(value instanceof Variable) && value.id > first);
}

/**
 * Checks that a value is a scalar whose number can be read.
 *
 * @param formOf - Tells the form of a tensor, and of anything else that it is none.
 * @throws {@link CgfacError} `ERR_CGFAC_INVALID_ARG_TYPE`; `ERR_CGFAC_DISPOSED` for one that was disposed of.
 */
export function requireScalar(value: unknown, formOf: (value: unknown) => TensorForm | undefined): Scalar {
  const found = reading('a scalar', LOSS, () => formOf(value));
  if (found === undefined) throw typeError('a scalar', LOSS, value);
  const { shape, dtype, isDisposed } = found;
  if (isDisposed)
    throw new CgfacError('ERR_CGFAC_DISPOSED', `Expected a scalar for ${LOSS} but received one that was disposed of`);
  const received = shape.length > 0 ? `a tensor of shape ${shape.join(' × ')}` : `one of ${dtype}`;
  if (shape.length > 0 || dtype === 'string' || dtype === 'complex64')
    throw new CgfacError('ERR_CGFAC_INVALID_ARG_TYPE', `Expected a scalar for ${LOSS} but received ${received}`);
  return value as Scalar;
}
