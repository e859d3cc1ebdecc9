/** The list of the kernels of this package. */
import { batchNormKernel } from './batch-norm';
import { binaryKernels, unaryKernels } from './binary';
import { castKernel, identityKernel, selectKernel } from './cast';
import { convolutionKernels } from './convolution';
import { forwardKernels } from './convolution-forward';
import { copyKernels } from './copies';
import { einsumKernel } from './einsum';
import { elementWiseKernels } from './element-wise';
import { gatherKernel } from './gather';
import type { NativeKernel } from './kernel';
import { productKernels } from './matrix-products';
import { poolingKernels } from './pooling';
import { reductionKernels } from './reduction';
import { segmentSumKernel } from './segment-sum';

/** All kernels that are installed, in the order of their installation. */
export const kernels: readonly NativeKernel[] = [
  ...productKernels,
  ...convolutionKernels,
  ...forwardKernels,
  ...poolingKernels,
  segmentSumKernel,
  einsumKernel,
  ...elementWiseKernels,
  ...binaryKernels,
  ...unaryKernels,
  selectKernel,
  castKernel,
  identityKernel,
  batchNormKernel,
  ...reductionKernels,
  ...copyKernels,
  gatherKernel,
];

/** The names of those that multiply matrices. */
export const productNames: readonly string[] = productKernels.map(({ kernelName }) => kernelName);

/** The names of those that the wasm backend of TensorFlow.js 4 lacks. */
export const lackingNames: readonly string[] = kernels.flatMap(({ kernelName, stock }) => (stock ? [] : [kernelName]));
