import { loadDigits } from '../../../../datasets/digits';

/** What a function returns, asked for once. */
export function once<T>(get: () => T): () => T {
  let kept: { readonly value: T } | undefined;
  return () => {
    kept ??= { value: get() };
    return kept.value;
  };
}

/** The handwritten digits, read once. */
export const digits = once(loadDigits);
