import { CgfacError } from '../../../lib/base/errors';
import { type HeadTargets, headFit, targetEntropy } from '../../../lib/kernels/head-fit';
import type { Distribution } from '../../../lib/kernels/sampled-errors';
import { setThreads } from '../../../lib/native/info';
import { randomNumbers } from '../../support/layers';

const SATURATED = 2e-5;
const distributions: readonly Distribution[] = ['categorical', 'bernoulli', 'gaussian'];

interface Case extends HeadTargets {
  readonly targets: Float32Array;
  readonly weights: Float32Array;
  readonly probabilities: Float32Array;
  readonly gradient: Float32Array;
}

/** A head of so many rows, some of whose probabilities are next to 0 or 1. */
function made(distribution: Distribution, rows: number, width: number, groups: number): Case {
  const size = rows * width;
  const between = (seed: number) => randomNumbers(size, seed).map((value) => Math.abs(value) / 8);
  // few enough for rows without any
  const every = size > 1000 ? 100 : 1;
  const bounds = (p: number, at: number) => (at % (13 * every) === 0 ? 1e-6 : at % (17 * every) === 0 ? 1 - 1e-6 : p);
  const probabilities = between(1).map((p, at) => bounds(Math.min(p, 0.99), at));
  const targets = between(2).map((y, at) => (at % 5 === 0 ? 0 : at % 7 === 0 ? 1 : Math.min(y, 0.99)));
  const weights = randomNumbers(groups, 3).map((value) => Math.abs(value));
  return { distribution, width, weights, targets, probabilities, gradient: randomNumbers(size, 4) };
}

/** Whether a number is left out, by plain loops. */
function isLeftOut({ distribution, probabilities: p, targets: y, width }: Case, at: number): boolean {
  if (distribution === 'gaussian') return false;
  const high = (index: number) => (p[index] ?? 0) > 1 - SATURATED;
  const low = (index: number) => (p[index] ?? 0) < SATURATED;
  if (distribution === 'bernoulli') return high(at) || low(at);
  const row = Math.floor(at / width) * width;
  return Array.from({ length: width }, (_, j) => row + j).some((j) => high(j) || (low(j) && (y[j] ?? 0) > 0));
}

function reference(one: Case) {
  const { probabilities: p, targets: y, weights, gradient: d } = one;
  const perGroup = p.length / weights.length;
  const error = (at: number) => (weights[Math.floor(at / perGroup)] ?? 0) * ((p[at] ?? 0) - (y[at] ?? 0));
  const kept = Array.from(p.keys()).filter((at) => !isLeftOut(one, at));
  const sum = (term: (at: number) => number) => kept.reduce((total, at) => total + term(at), 0);
  const u = sum((at) => (d[at] ?? 0) * error(at)) / sum((at) => error(at) ** 2);
  const rest = sum((at) => ((d[at] ?? 0) - u * error(at)) ** 2);
  return { u, misfit: Math.sqrt(rest / sum((at) => (d[at] ?? 0) ** 2)) };
}

function entropy({ distribution, targets, weights }: Case): number {
  const perGroup = targets.length / weights.length;
  const own = (y: number) => (y > 0 && y < 1 ? -y * Math.log(y) : 0);
  return targets.reduce(
    (sum, y, at) =>
      sum + (weights[Math.floor(at / perGroup)] ?? 0) * (own(y) + (distribution === 'bernoulli' ? own(1 - y) : 0)),
    0,
  );
}

// the last is cut into pieces
const sizes: readonly (readonly [rows: number, width: number, groups: number])[] = [
  [12, 5, 12],
  [12, 5, 4],
  [7, 1, 7],
  [1100, 100, 1100],
];

describe.each(distributions)('of a %s', (distribution) => {
  test.each(sizes)('%d rows of %d: weight, misfit and entropy are those of plain loops', (rows, width, groups) => {
    const head = made(distribution, rows, width, groups);
    const { u, misfit } = reference(head);
    const fit = headFit(head, head.probabilities, head.gradient);
    expect(fit).toMatchObject({ compared: true, finite: true });
    expect(Math.abs(fit.u - u)).toBeLessThan(1e-9 * Math.max(1, Math.abs(u)));
    expect(Math.abs(fit.misfit - misfit)).toBeLessThan(1e-9);
    const found = targetEntropy(head);
    expect(found.soft).toBe(true);
    const expected = distribution === 'gaussian' ? 0 : entropy(head);
    expect(Math.abs(found.sum - expected)).toBeLessThanOrEqual(1e-6 * Math.abs(expected));
  });

  test('the bits do not depend on the number of threads', () => {
    const head = made(distribution, 1100, 100, 1100);
    const all = [1, 2, 5].map((threads) => {
      setThreads(threads);
      return { ...headFit(head, head.probabilities, head.gradient), ...targetEntropy(head) };
    });
    expect(all[1]).toEqual(all[0]);
    expect(all[2]).toEqual(all[0]);
  });

  test('a gradient that is not finite is said to be', () => {
    const head = made(distribution, 12, 5, 12);
    for (const [place, value] of [
      [0, Number.NaN],
      [7, Number.POSITIVE_INFINITY],
    ] as const) {
      const gradient = head.gradient.slice();
      gradient[place] = value;
      expect(headFit(head, head.probabilities, gradient).finite).toBe(false);
    }
  });
});

test('where all probabilities are saturated, what is left out gives the weight', () => {
  const [probabilities, targets] = [new Float32Array(6).fill(1), Float32Array.of(1, 0, 1, 0, 1, 1)];
  const head = { distribution: 'bernoulli' as const, targets, weights: Float32Array.of(1, 2), width: 3 };
  const fit = headFit(head, probabilities, Float32Array.of(0, 3, 0, 6, 0, 0));
  expect(fit).toEqual({ u: 3, misfit: 0, compared: false, finite: true });
});

test('targets of 0 and 1 have no entropy, and are not soft', () => {
  const head = { distribution: 'categorical' as const, targets: [0, 1, 1, 0], weights: [1, 1], width: 2 };
  expect(targetEntropy(head)).toEqual({ sum: 0, soft: false });
});

test('sizes that do not fit are refused', () => {
  const head = { distribution: 'categorical' as const, targets: new Float32Array(6), weights: [1, 1], width: 3 };
  expect(() => headFit(head, new Float32Array(5), new Float32Array(6))).toThrow(CgfacError);
  expect(() => headFit({ ...head, width: 4 }, new Float32Array(6), new Float32Array(6))).toThrow(CgfacError);
  expect(() => targetEntropy({ ...head, weights: [1, 1, 1, 1] })).toThrow(CgfacError);
});
