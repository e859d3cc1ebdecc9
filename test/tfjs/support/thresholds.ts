import type { Thresholds } from '../../../lib/tfjs/kernels/kernel';

/** Thresholds that leave nothing to the stock kernels for its size. */
export const NO_THRESHOLDS: Thresholds = {
  product: 0,
  transposedProduct: 0,
  convolution: 0,
  forwardConvolution: 0,
  averagePooling: 0,
  scalar: 0,
  vectorised: 0,
  simple: 0,
  arithmetic: 0,
  reduction: 0,
  lastAxes: 0,
  moved: 0,
  runs: 0,
};
