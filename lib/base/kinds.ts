import type { Kind } from './option-table';
import * as checks from './validate';
import type { Damping } from './weight-vector';

/** A kind whose check looks at the value alone. */
function kind<T>(check: (value: unknown, name: string) => T, type: string, expected: string): Kind<T> {
  return { check: (value, name) => check(value, name), type, expected };
}

/** The kinds of options: a check, the type as TypeScript has it, and the type with its range in words. */
export const kinds = {
  /** True or false. */
  boolean: kind(checks.boolean, 'boolean', 'a boolean'),
  /** An integer > 0 that fits the 32-bit integers of BLAS. */
  positiveInteger: kind(checks.positiveInteger, 'number', 'a positive integer'),
  /** A finite number. */
  finite: kind(checks.finite, 'number', 'a number'),
  /** A finite number ≥ 0. */
  nonNegative: kind(checks.nonNegative, 'number', 'a number ≥ 0'),
  /** A finite number > 0. */
  positive: kind(checks.positive, 'number', 'a number > 0'),
  /** A number ≥ 0 and < 1. */
  fraction: kind(checks.fraction, 'number', 'a number ≥ 0 and < 1'),
  /** A number > 0 and ≤ 1. */
  share: kind(checks.share, 'number', 'a number > 0 and ≤ 1'),
  /** An integer that a double holds exactly. */
  seed: kind(checks.seedOf, 'number', 'an integer from 0 to 2^53 - 1'),
  /** λ, or its multiple of the mean eigenvalue. */
  damping: kind<Damping>((value, name) => checks.damping(value, name), 'Damping', 'a number > 0 or { relative }'),
  /** One of some strings; `type`: the name of their union, where it has one. */
  choice<const T extends string>(values: readonly T[], type?: string): Kind<T> {
    const union = values.map((value) => `'${value}'`).join(' | ');
    return kind((value, name) => checks.oneOf(value, name, values), type ?? union, checks.anyOf(values));
  },
};
