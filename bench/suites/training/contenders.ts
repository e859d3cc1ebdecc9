/** Who trains the programs of the suite `tasks`: cgfac() as it is and with one thing changed, Adam, and SGD. */
import type { Optimizer } from '@tensorflow/tfjs-core';
import type { CgfacOptimizer, CgfacOptions } from 'cgfac/tfjs';

/** The packages that optimizers come from. */
export interface Makers {
  readonly tf: typeof import('@tensorflow/tfjs-core');
  readonly cgfac: (options: CgfacOptions) => CgfacOptimizer;
}

/** An optimizer, and what is changed of a program beside it. */
export interface Contender {
  readonly name: string;
  /** Which of them are rates of one method, the best of which counts. */
  readonly family: 'cgfac' | 'cg' | 'adam' | 'sgd' | 'variation';
  readonly optimizer: (makers: Makers, seed: number) => Optimizer;
  /** What the size of a batch is multiplied by. */
  readonly batchFactor: number;
  /** What the loss is multiplied by; its figures are divided by it. */
  readonly lossFactor: number;
}

const adamRates = [1e-3, 3e-3, 1e-2];
const sgdRates = [3e-3, 3e-2, 0.3];

const asItIs = { batchFactor: 1, lossFactor: 1 };

const rates = (family: 'adam' | 'sgd', each: readonly number[]): Contender[] =>
  each.map((rate) => ({
    name: `${family} ${rate}`,
    family,
    optimizer: ({ tf }) => tf.train[family](rate),
    ...asItIs,
  }));

const ours = (
  name: string,
  family: Contender['family'],
  options: CgfacOptions = {},
  more: Partial<Contender> = {},
): Contender => ({
  name,
  family,
  optimizer: ({ cgfac }, seed) => cgfac({ ...options, seed }),
  ...asItIs,
  ...more,
});

/** cgfac() without options, the paper's solver under the same recipe, and the methods they are compared with. */
const usual: readonly Contender[] = [
  ours('cgfac', 'cgfac'),
  ours('cg', 'cg', { method: 'cg' }),
  ...rates('adam', adamRates),
  ...rates('sgd', sgdRates),
];

/**
 * cgfac() with one thing a third or three times what it is by default: ρ 0.5 in the first steps, φ 1, μ 0.5, T 5,
 * bounds of 1, targets sampled for half of a batch. Three times 0.5 is no momentum: there 1 − μ is a third. Steps are
 * whole, and targets can be sampled for all of a batch at the most.
 */
const options: readonly Contender[] = [
  ours('rho/3', 'variation', { damping: { relative: 0.5 / 3 }, dampingSchedule: 'falling' }),
  ours('rho*3', 'variation', { damping: { relative: 1.5 }, dampingSchedule: 'falling' }),
  ours('phi/3', 'variation', { polyakFraction: 1 / 3 }),
  ours('phi*3', 'variation', { polyakFraction: 3 }),
  ours('mu/3', 'variation', { momentum: 0.5 / 3 }),
  ours('mu*3', 'variation', { momentum: 1 - 0.5 / 3 }),
  ours('T/3', 'variation', { factorUpdateSteps: 2 }),
  ours('T*3', 'variation', { factorUpdateSteps: 15 }),
  ours('cap/3', 'variation', { maxRelativeChange: 1 / 3 }),
  ours('cap*3', 'variation', { maxRelativeChange: 3 }),
];

/**
 * Factors of convolutions that take in a batch more seldom than at every fifth step, a quarter of the 256 positions or
 * four times as many, or one row for each sample.
 */
const positions: readonly Contender[] = [
  ...[10, 20, 50].map((steps) => ours(`T ${steps}`, 'variation', { factorUpdateSteps: steps })),
  ours('rows/4', 'variation', { maxRows: 64 }),
  ours('rows*4', 'variation', { maxRows: 1024 }),
  ours('reduce', 'variation', { weightSharing: 'reduce' }),
];

/**
 * cgfac() without options on other batches or on the loss times a number; with targets sampled for fewer or for all;
 * and with damping that does not fall.
 */
const conditions: readonly Contender[] = [
  ours('batch/3', 'variation', {}, { batchFactor: 1 / 3 }),
  ours('batch*3', 'variation', {}, { batchFactor: 3 }),
  ours('loss/1000', 'variation', {}, { lossFactor: 1e-3 }),
  ours('loss*1000', 'variation', {}, { lossFactor: 1e3 }),
  ours('fisher/3', 'variation', { fisherFraction: 0.5 / 3 }),
  ours('fisher*2', 'variation', { fisherFraction: 1 }),
  ours('rho constant', 'variation', { dampingSchedule: 'constant' }),
];

/** All contenders, by the order of tables. */
export const contenders: readonly Contender[] = [...usual, ...options, ...positions, ...conditions];

const names = (list: readonly Contender[]) => list.map(({ name }) => name);

/** Names for several contenders at once; the first of them are who trains where nobody was asked for. */
export const groups = {
  usual: names(usual),
  variations: ['cgfac', ...names(options)],
  positions: ['cgfac', ...names(positions)],
  conditions: ['cgfac', ...names(conditions)],
};
