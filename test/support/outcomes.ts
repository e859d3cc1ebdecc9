import { CgfacError } from 'cgfac';

/** A result, or nothing where the package threw an error of its own with a code that says so. */
export function attempt<Result>(call: () => Result): Result | undefined {
  try {
    return call();
  } catch (error) {
    if (refuses(error)) return undefined;
    throw error;
  }
}

/** Whether an error says that numbers have no answer in float32. */
export function refuses(error: unknown): boolean {
  const code = error instanceof CgfacError ? error.code : undefined;
  return code === 'ERR_CGFAC_NOT_FINITE' || code === 'ERR_CGFAC_INVALID_ARG_VALUE';
}
