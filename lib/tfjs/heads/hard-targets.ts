/**
 * Targets of 0 and 1 that the gradient of a cross-entropy itself tells, wherever the loss got them from: of ∂L/∂z =
 * w·(p − y) only the number of the target is negative. The weight w may differ by class, and be 0 in rows that are
 * padding. A weight for each row would fit every loss of p_y alone, a focal one too, whose curvature is another.
 */
import type { Distribution } from '../../adapter-kit';
import { saturated } from './fit';

type Numbers = ArrayLike<number>;

/** The group of rows that the loss leaves out. */
const LEFT_OUT = -2;

/** What a gradient says of targets of 0 and 1. */
export interface HardTargets {
  /** The weight w of each row. */
  readonly weights: Float64Array;
  /** ‖∂L/∂z − w·(p − y)‖/‖∂L/∂z‖. */
  readonly misfit: number;
  /** Whether there are more rows than weights, so that the fit says something. */
  readonly certain: boolean;
}

/** Σ d·e and Σ e² of one group of numbers that have one weight. */
interface Sums {
  de: number;
  ee: number;
}

/** The targets of a row, and the error p − y. */
function errorsOf(distribution: Distribution, p: Numbers, d: Numbers, start: number, width: number): Float64Array {
  const errors = new Float64Array(width);
  let least = 0;
  for (let j = 1; j < width; j++) if ((d[start + j] ?? 0) < (d[start + least] ?? 0)) least = j;
  for (let j = 0; j < width; j++) {
    const y = distribution === 'categorical' ? j === least : (d[start + j] ?? 0) < 0;
    errors[j] = (p[start + j] ?? 0) - (y ? 1 : 0);
  }
  return errors;
}

/** A row that the loss leaves out. */
function isZero(d: Numbers, start: number, width: number): boolean {
  for (let at = start; at < start + width; at++) if (d[at] !== 0) return false;
  return true;
}

/** Fits one weight to each group of rows. */
function fitted(
  distribution: Distribution,
  p: Numbers,
  d: Numbers,
  width: number,
  groupOf: (errors: Float64Array) => number,
): HardTargets {
  const rows = p.length / width;
  const groups = new Map<number, Sums>();
  const members = new Int32Array(rows).fill(LEFT_OUT);
  const errors: Float64Array[] = [];
  const y = Float64Array.from(d, (each) => (each < 0 ? 1 : 0));
  const leftOut = saturated(distribution, p, y, width);
  for (let row = 0; row < rows; row++) {
    const start = row * width;
    errors.push(errorsOf(distribution, p, d, start, width));
    if (isZero(d, start, width)) continue;
    const own = errors[row] ?? new Float64Array();
    const group = groupOf(own);
    members[row] = group;
    const sums = groups.get(group) ?? { de: 0, ee: 0 };
    own.forEach((error, j) => {
      if (leftOut[start + j]) return;
      sums.de += (d[start + j] ?? 0) * error;
      sums.ee += error * error;
    });
    groups.set(group, sums);
  }
  const weightOf = ({ de, ee }: Sums) => (ee > 0 ? de / ee : 0);
  const all = weightOf([...groups.values()].reduce((a, b) => ({ de: a.de + b.de, ee: a.ee + b.ee }), { de: 0, ee: 0 }));
  const weights = Float64Array.from(members, (group) => {
    const sums = groups.get(group);
    if (sums === undefined) return 0;
    return sums.ee > 0 ? weightOf(sums) : all; // nothing to compare: as the others
  });
  let [rest, size] = [0, 0];
  errors.forEach((own, row) => {
    own.forEach((error, j) => {
      const at = row * width + j;
      if (leftOut[at]) return;
      rest += ((d[at] ?? 0) - (weights[row] ?? 0) * error) ** 2;
      size += (d[at] ?? 0) ** 2;
    });
  });
  const kept = members.reduce((count, group) => count + (group === LEFT_OUT ? 0 : 1), 0);
  return {
    weights,
    misfit: size > 0 ? Math.sqrt(rest / size) : 0,
    certain: kept >= Math.max(groups.size + 2, 1.5 * groups.size),
  };
}

/** Fits targets of 0 and 1 to a gradient: with one weight, or with one for each class, within `tolerance`. */
export function hardTargets(
  distribution: Distribution,
  p: Numbers,
  d: Numbers,
  width: number,
  tolerance: number,
): HardTargets | undefined {
  if (distribution === 'gaussian') return undefined;
  const classOf = (errors: Float64Array) => errors.findIndex((error) => error < 0);
  for (const groupOf of [() => 0, classOf]) {
    const found = fitted(distribution, p, d, width, groupOf);
    if (found.certain && found.misfit <= tolerance && found.weights.every((weight) => weight >= 0)) return found;
  }
  return undefined;
}
