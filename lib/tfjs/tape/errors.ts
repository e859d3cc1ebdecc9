/** The errors of a tape of another form, and of backends and ops that lack what a step needs. */
import { version_core as tfjsVersion } from '@tensorflow/tfjs-core';
import { CgfacError } from '../../adapter-kit';
import { lackingNames } from '../kernels/table';

/** The error of a TensorFlow.js whose tape has another form. */
export function versionError(expected: string, received: string): CgfacError {
  return new CgfacError(
    'ERR_CGFAC_TFJS_VERSION',
    `Expected ${expected} for the tape of TensorFlow.js but received ${received}; ` +
      `this version of cgfac reads the tape of @tensorflow/tfjs-core 4, and ${tfjsVersion} is loaded`,
  );
}

/** The error of an op without a gradient function. */
export function noGradient(kernel: string, cause?: unknown): CgfacError {
  return new CgfacError(
    'ERR_CGFAC_TFJS_KERNEL',
    `Expected a gradient of the TensorFlow.js kernel '${kernel}' for the training step but received none; ` +
      '@tensorflow/tfjs-layers registers all there are, tf.registerGradient adds one',
    { cause },
  );
}

/** The message of an error; `undefined` of anything else that was thrown, or that cannot be read. */
function messageOf(thrown: unknown): string | undefined {
  try {
    const { message } = thrown as { readonly message?: unknown };
    return typeof message === 'string' ? message : undefined;
  } catch {
    return undefined;
  }
}

/** How TensorFlow.js begins to say that there is nothing to differentiate by, and what is said here. */
const WITHOUT_VARIABLES = [
  [
    'variableGrads() expects at least one of the input variables',
    'Expected a trainable variable or more for varList but received none',
  ],
  [
    'Cannot find a connection between any variable',
    'Expected a loss that depends on a variable that is trained but received one that does not',
  ],
] as const;

/**
 * The error of a backend that lacks a kernel, of a kernel that lacks a gradient, or of a loss without a variable to
 * differentiate by, as one of ours; every other error as it is.
 */
export function explain(error: unknown): unknown {
  const message = error instanceof CgfacError ? undefined : messageOf(error);
  if (message === undefined) return error;
  const [, ungraded] = /gradient function not found for (\w+)/.exec(message) ?? [];
  if (ungraded) return noGradient(ungraded, error);
  const without = WITHOUT_VARIABLES.find(([beginning]) => message.startsWith(beginning));
  if (without) return new CgfacError('ERR_CGFAC_INVALID_ARG_VALUE', without[1], { cause: error });
  const [, kernel, backend] = /[Kk]ernel '(\w+)' (?:not registered )?for backend '(\w+)'/.exec(message) ?? [];
  if (!kernel) return error;
  const remedy =
    backend === 'wasm' && lackingNames.includes(kernel)
      ? 'call installKernels(tf) of cgfac/tfjs, which adds it'
      : 'register one with tf.registerKernel or train on another backend';
  return new CgfacError(
    'ERR_CGFAC_TFJS_KERNEL',
    `Expected a kernel '${kernel}' of the TensorFlow.js backend '${backend}' for the training step ` +
      `but received none; ${remedy}`,
    { cause: error },
  );
}

/** Runs `f` and turns the error of a missing kernel or gradient into `ERR_CGFAC_TFJS_KERNEL`. */
export function explainingKernels<T>(f: () => T): T {
  try {
    return f();
  } catch (error) {
    throw explain(error);
  }
}
