/** Functions of each number, which the wasm backend computes on one thread, most of them number by number. */
import { type ElementWise, elementWise } from '../../adapter-kit';
import { computeOnHeap, size } from './heap';
import { input, type KernelCall, type NativeKernel } from './kernel';

/** What the wasm backend computes number by number. */
const scalar: Readonly<Record<string, ElementWise['function']>> = {
  Exp: 'exp',
  Expm1: 'expm1',
  Log: 'log',
  Log1p: 'log1p',
  Tanh: 'tanh',
  Softplus: 'softplus',
  Erf: 'erf',
};
/** What it computes several numbers at a time, with half of the speed that there is, or less. */
const vectorised: Readonly<Record<string, ElementWise['function']>> = {
  Sigmoid: 'sigmoid',
  Elu: 'elu',
  Sqrt: 'sqrt',
  Rsqrt: 'rsqrt',
};

function kernels(
  functions: Readonly<Record<string, ElementWise['function']>>,
  least: (call: KernelCall) => number,
): NativeKernel[] {
  return Object.entries(functions).map(([kernelName, name]) => ({
    kernelName,
    stock: true,
    compute: (call) => {
      const x = input(call, 'x');
      const count = size(x.shape);
      if (x.dtype !== 'float32' || count === 0 || count < least(call)) return undefined;
      return computeOnHeap(call.backend, [x], x.shape, 'float32', ({ floats }, out) =>
        elementWise({ function: name, x: floats(x), out: floats(out) }),
      );
    },
  }));
}

/** The kernels of functions of each number. */
export const elementWiseKernels: readonly NativeKernel[] = [
  ...kernels(scalar, ({ thresholds }) => thresholds.scalar),
  ...kernels(vectorised, ({ thresholds }) => thresholds.vectorised),
];
