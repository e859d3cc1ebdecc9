import type { Optimizer, Scalar, Tensor, Variable } from '@tensorflow/tfjs-core';

/** Takes so many steps of `minimize`, and tells the loss at each. */
export function minimized(
  optimizer: Optimizer,
  loss: () => Tensor,
  variables: readonly Variable[],
  steps: number,
): number[] {
  return Array.from({ length: steps }, () => {
    const cost = optimizer.minimize(() => loss() as Scalar, true, [...variables]) as Scalar;
    const [value = Number.NaN] = cost.dataSync();
    cost.dispose();
    return value;
  });
}
