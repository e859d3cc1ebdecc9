import type { Kind } from '../base/option-table';
import { reading } from '../base/reading';

/** A hyperparameter: a value, or a function of the step (0 for the first) that gives one. */
export type Schedule<T> = T | ((step: number) => T);

/** Checks a value and returns it. */
export type Check<T> = (value: unknown, name: string) => T;

/** A kind of option that may be a function of the step, whose values are checked when it is called. */
export interface ScheduleKind<T> extends Kind<Schedule<T>> {
  /** The check of a value at a step. */
  readonly each: Check<T>;
}

const noOther = () => undefined;

/** A value of a kind, or a function of the step that gives one, perhaps of a wider `kindOfEach`. */
export function schedule<T>(kind: Kind<T>, kindOfEach: Kind<T> = kind): ScheduleKind<T> {
  return {
    each: (value, name) => kindOfEach.check(value, name, noOther),
    check: (value, name) =>
      typeof value === 'function' ? (value as (step: number) => T) : kind.check(value, name, noOther),
    type: `Schedule<${kind.type}>`,
    expected: `${kind.expected}, or a function of the step`,
  };
}

/** The value of a schedule at a step, checked. */
export function at<T>(value: Schedule<T>, step: number, name: string, check: Check<T>): T {
  if (typeof value !== 'function') return value;
  const given = reading('a function that returns', `${name}(${step})`, () =>
    (value as (step: number) => unknown)(step),
  );
  return check(given, `${name}(${step})`);
}
