/** Steps of the networks of networks.ts: how tests take them, and what they compare. */
import type { PreconditionerOptions, StepOptions, StepSummary, WeightVector } from 'cgfac';
import { relativeError } from './golden-case';
import { arraysOf } from './layers';
import { methods, network, numbersOf, record, rowsOf, type TestLayer, type TestRows } from './networks';

/** A preconditioner of a test network. */
export type Network = ReturnType<typeof network>;

/** Fixed steps without momentum and averages: the updates are the directions. */
export const fixed = { stepRule: 'fixed', momentum: 0, useEma: false } as const;

/** Fixed steps without momentum, with the factors of each batch alone; averages are kept. */
export const plain = { stepRule: 'fixed', momentum: 0, factorHistory: 'none', factorUpdateSteps: 1 } as const;

/** Conjugate gradients that are solved to the end, that results can be compared. */
const iterated = { tolerance: 0, maxIterations: 60, warmStart: 'none' } as const;

/** Every way to precondition a network, conjugate gradients solved to the end. */
export const iteratedMethods = {
  ...methods,
  cg: { ...methods.cg, ...iterated },
  auto: { ...methods.auto, ...iterated },
};

/** The error of conjugate gradients and eigenbases of F + λI, λ = 3 mean eigenvalues: condition ≤ 1 + n·m/3 ≈ 15. */
export const solved = 5e-5;

/** In-place updates round W − ηx once where the reference rounds in float64, and η·x came of the same product. */
export const updated = 16 * 2 ** -24;

/** A network of one layer. */
export const one: readonly TestLayer[] = [
  { name: 'only', inFeatures: 6, outFeatures: 4, bias: true, kernelLayout: 'out-in' },
];

/** The rows of the layer of `one`. */
export function only(rows: ReadonlyMap<string, TestRows>): TestRows {
  const found = rows.get('only');
  if (found === undefined) throw new Error('no rows');
  return found;
}

/** Rows whose arrays are multiplied by factors. */
export function scaled(
  rows: ReadonlyMap<string, TestRows>,
  factors: Partial<Record<'inputs' | 'lossGrads' | 'sampled', number>>,
): Map<string, TestRows> {
  const times = (array: Float32Array, factor = 1) => array.map((value) => value * factor);
  return new Map(
    [...rows].map(([name, { inputs, lossGrads, sampled, ...rest }]) => [
      name,
      {
        ...rest,
        inputs: times(inputs, factors.inputs),
        lossGrads: times(lossGrads, factors.lossGrads),
        sampled: times(sampled, factors.sampled),
      },
    ]),
  );
}

/** Directions x of the steps 0 … count − 1, of a network that takes nothing but fixed steps. */
export function directions(count: number, options: Partial<PreconditionerOptions> = {}): Float64Array[] {
  const preconditioner = network({ ...plain, ...options });
  return Array.from({ length: count }, (_, step) => {
    record(preconditioner, rowsOf(step));
    return numbersOf(preconditioner.naturalGradientsSync().updates).slice();
  });
}

/** Takes `count` steps from `first` on, by the natural gradient; returns the summaries. */
export function take(
  preconditioner: Network,
  count: number,
  options: (step: number) => StepOptions = () => ({}),
  first = 0,
): StepSummary[] {
  return Array.from({ length: count }, (_, index) => {
    record(preconditioner, rowsOf(first + index));
    return preconditioner.naturalGradientsSync(options(first + index)).summary;
  });
}

/** Takes a step by the natural gradient; returns all numbers of the updates. */
export function naturalSync(preconditioner: Network, options: StepOptions = {}): Float64Array {
  return numbersOf(preconditioner.naturalGradientsSync(options).updates);
}

/** Expects two vectors to differ by a relative error; the default is a few float32 operations on each number. */
export function closeTo(actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance = 4 * 2 ** -24): void {
  expect(relativeError(actual, expected)).toBeLessThan(tolerance);
}

/** to ← from, in the arrays of `to`. */
export function assign(to: Record<string, WeightVector>, from: Record<string, WeightVector>): void {
  for (const [name, vector] of Object.entries(from)) {
    const source = arraysOf(vector);
    arraysOf(to[name] ?? vector).forEach((array, index) => {
      array.set(source[index] ?? []);
    });
  }
}
