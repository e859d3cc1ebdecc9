/** Promises that have to settle in time. */

/**
 * The result of a promise, or the error that `late` makes where it has not settled after so many milliseconds. What
 * MPI does in one call, its start and its end, cannot be broken off; this is for those that wait for it.
 */
export async function within<T>(milliseconds: number, promise: Promise<T>, late: () => Error): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(late()), milliseconds);
  });
  try {
    return await Promise.race([promise, deadline]);
  } finally {
    clearTimeout(timer);
  }
}
