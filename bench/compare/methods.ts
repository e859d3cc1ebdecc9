/** Who is compared: the optimizers of TensorFlow.js, L-BFGS, and the methods of this package, each with its grid. */
import type { Optimizer } from '@tensorflow/tfjs-core';
import type { CgfacOptions } from 'cgfac/tfjs';
import type { Contender } from '../suites/training/contenders';
import { Lbfgs } from './lbfgs';

/** One point of a grid: a method with everything that it can be set to. */
export interface Setting extends Pick<Contender, 'name' | 'optimizer' | 'lossFactor'> {
  /** What is set, in words. */
  readonly words: string;
  /** Everything that is set, by which a run is known again. */
  readonly decided: string;
}

/** A method, and the settings the best of which counts. */
export interface Method {
  readonly name: string;
  readonly title: string;
  /** What it is in the paper's words, or in ours. */
  readonly about: string;
  /** Whether it is one of this package's, whose averages of the weights count held out. */
  readonly own: boolean;
  readonly settings: readonly Setting[];
  /** The settings of a quick run, by their places. */
  readonly quick: readonly number[];
}

/** What momentum is kept of at each step, and the pairs of L-BFGS. */
const [MOMENTUM, PAIRS] = [0.9, 10];

type Make = Contender['optimizer'];

const setting = (method: string, words: string, decided: object, optimizer: Make): Setting => ({
  name: words === '' ? method : `${method} (${words})`,
  words,
  decided: JSON.stringify([method, decided]),
  optimizer,
  lossFactor: 1,
});

const rated = (
  method: string,
  rates: readonly number[],
  others: object,
  optimizer: (makers: Parameters<Make>[0], rate: number) => Optimizer,
): Setting[] =>
  rates.map((rate) => setting(method, `rate ${rate}`, { rate, ...others }, (makers) => optimizer(makers, rate)));

const ours = (method: string, words: string, options: CgfacOptions): Setting =>
  setting(method, words, options, ({ cgfac }, seed) => cgfac({ ...options, seed }));

/** Two dampings whose steps find their own length, and two bounds of the paper's step. */
const paperGrid = (method: string, [small, large]: readonly [number, number], options: CgfacOptions): Setting[] => [
  ours(method, `damping ${small} ×`, { ...options, damping: { relative: small } }),
  ours(method, `damping ${large} ×`, { ...options, damping: { relative: large } }),
  ...[1e-3, 1e-2].map((klClip) =>
    ours(method, `damping ${large} ×, klClip ${klClip}`, { ...options, damping: { relative: large }, klClip }),
  ),
];

const truncated = (iterations: number): Method => ({
  name: `cg${iterations}`,
  title: `CG-FAC, ${iterations} iterations`,
  about: `Algorithm 2 of the paper: ${iterations} conjugate-gradient iterations from the last direction`,
  own: true,
  settings: paperGrid(`cg${iterations}`, [3, 10], { method: 'cg', maxIterations: iterations, tolerance: 0 }),
  quick: [1],
});

/** All methods, by the order of tables: those of TensorFlow.js, quasi-Newton, the paper's, the default. */
export const methods: readonly Method[] = [
  {
    name: 'sgd',
    title: 'SGD',
    about: 'tf.train.sgd',
    own: false,
    settings: rated('sgd', [0.001, 0.003, 0.03, 0.3, 3, 10], {}, ({ tf }, rate) => tf.train.sgd(rate)),
    quick: [2],
  },
  {
    name: 'momentum',
    title: 'Momentum',
    about: 'tf.train.momentum, 0.9',
    own: false,
    settings: rated('momentum', [0.0003, 0.001, 0.01, 0.1, 1, 3], { momentum: MOMENTUM }, ({ tf }, rate) =>
      tf.train.momentum(rate, MOMENTUM),
    ),
    quick: [2],
  },
  {
    name: 'adagrad',
    title: 'AdaGrad',
    about: 'tf.train.adagrad',
    own: false,
    settings: rated('adagrad', [0.01, 0.1, 1, 3], {}, ({ tf }, rate) => tf.train.adagrad(rate)),
    quick: [1],
  },
  {
    name: 'rmsprop',
    title: 'RMSprop',
    about: 'tf.train.rmsprop',
    own: false,
    settings: rated('rmsprop', [0.0003, 0.001, 0.003, 0.01, 0.03], {}, ({ tf }, rate) => tf.train.rmsprop(rate)),
    quick: [2],
  },
  {
    name: 'adam',
    title: 'Adam',
    about: 'tf.train.adam',
    own: false,
    settings: rated('adam', [0.0003, 0.001, 0.003, 0.01, 0.03, 0.1], {}, ({ tf }, rate) => tf.train.adam(rate)),
    quick: [2, 3],
  },
  {
    name: 'lbfgs',
    title: 'L-BFGS',
    about: 'ten pairs, each of one batch; a step is halved until the loss of the batch falls',
    own: false,
    settings: rated('lbfgs', [0.03, 0.1, 0.3, 1], { memory: PAIRS }, (_, rate) => new Lbfgs({ rate, memory: PAIRS })),
    quick: [3],
  },
  {
    name: 'kfac',
    title: 'K-FAC, direct',
    about: 'Algorithm 1 of the paper: averages of A and G, decomposed at every fifth step, factored damping',
    own: true,
    settings: paperGrid('kfac', [0.3, 1], { method: 'kfac', dampingMode: 'factored', inverseUpdateSteps: 5 }),
    quick: [1],
  },
  truncated(10),
  truncated(20),
  {
    name: 'cgfac',
    title: 'cgfac()',
    about: 'the default of this package, without options',
    own: true,
    settings: [ours('cgfac', '', {})],
    quick: [0],
  },
];

/** The method that others are marked against. */
export const REFERENCE = 'adam';
