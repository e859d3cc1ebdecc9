/** Whatever is given to what cgfac/tfjs offers: an error of the package or a result, and training goes on as it was. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { CgfacError } from '../../lib/adapter-kit';
import {
  averageGradients,
  CgfacOptimizer,
  type Communicator,
  cgfac,
  installKernels,
  shard,
  tensorBoard,
  trainingLine,
} from '../../lib/tfjs';
import type { NamedTensor } from '../../lib/tfjs/tape/named-tensor';
import { expectCoded } from '../support/coded';
import { hostileValues, unreadable } from '../support/hostile';
import { caught } from '../support/refusals';
import { quietScopes } from './support/backends';
import { type SmallRun, smallRun } from './support/small-run';

quietScopes();

const thrower = () => {
  throw new Error('a trap');
};

const values: Readonly<Record<string, () => unknown>> = {
  ...hostileValues,
  'an array': () => [],
  'an object': () => ({}),
  'a date': () => new Date(Number.NaN),
  'a map': () => new Map([['w', 1]]),
  'a promise that throws': () => Object.defineProperty({}, 'then', { get: thrower }),
  'a class': () => class Any {},
};

/** What the caller's own code throws, and what calls of it throw, comes out as it is. */
const code = ['a function', 'a revoked proxy of a function', 'a class'];

/** What a call may need. */
interface Given extends SmallRun {
  readonly weights: readonly NamedTensor[];
  readonly gradients: tf.NamedTensorMap;
  readonly folder: string;
}

/** An argument of the name, its properties, and the call with another one in its place. */
type Entry = readonly [
  name: string,
  given: object,
  call: (argument: never, given: Given) => unknown,
  /** The values that are right, or that are code which is called. */
  right?: readonly string[],
];

/** The communicator of a process by itself. */
function local(): Communicator {
  const [same, one, none] = [<T>(values: T) => values, <T>(values: T) => [values], () => undefined];
  const calls = { allreduce: same, bcast: same, allgatherv: one, alltoallv: same, barrier: none, finalize: none };
  const sync = Object.entries(calls).map(([name, call]) => [`${name}Sync`, call]);
  return { rank: 0, size: 1, ...calls, ...Object.fromEntries(sync) } as unknown as Communicator;
}

const options = { learningRate: 1, damping: { relative: 1 }, preset: 'adaptive', seed: 1, skipLayers: ['any'] };
const ranks = () => ({ ...local() });

const ofOptions: readonly Entry[] = [
  ['cgfac', { ...options, communicator: local(), fisher: 'true', lossFloor: 0, useEma: true }, (a) => cgfac(a)],
  ['new CgfacOptimizer', { method: 'cg', klClip: 1 }, (a) => new CgfacOptimizer(a)],
  ['damping', { relative: 1 }, (a) => cgfac({ damping: a })],
  ['trustRegion', { kl: 1 }, (a) => cgfac({ stepRule: 'fixed', dampingMode: 'tikhonov', trustRegion: a })],
  ['skipLayers', [/any/], (a) => cgfac({ skipLayers: a })],
  ['fromConfig', { ...cgfac({ seed: 1 }).getConfig() }, (a) => CgfacOptimizer.fromConfig(CgfacOptimizer, a)],
  ['the class of fromConfig', {}, (a) => CgfacOptimizer.fromConfig(a, {})],
  ['learningRate', {}, (a) => Object.assign(cgfac(), { learningRate: a })],
];

const minimizing: readonly Entry[] = [
  ['f of minimize', {}, (a, { optimizer }) => optimizer.minimize(a), code],
  ['f of computeGradients', {}, (a, { optimizer }) => optimizer.computeGradients(a), code],
  ['a loss', {}, (a, { optimizer }) => optimizer.minimize(() => a)],
  ['variables', [], (a, { optimizer, loss }) => optimizer.minimize(loss, false, a), ['null']],
  ['variables of computeGradients', [], (a) => cgfac().computeGradients(() => tf.scalar(1), a), ['null']],
  ['a variable', {}, (a, { optimizer, loss }) => optimizer.minimize(loss, false, [a])],
  ['gradients', { w: 1 }, (a, { optimizer }) => optimizer.applyGradients(a)],
  ['a named gradient', { name: 'w', tensor: 1 }, (a, { optimizer }) => optimizer.applyGradients([a])],
  ['a gradient', {}, (a, { optimizer, gradients }) => optimizer.applyGradients({ ...gradients, w: a })],
  [
    'a gradient of the scale',
    {},
    (a, { optimizer, gradients }) => optimizer.applyGradients({ ...gradients, scale: a }),
    ['null'], // without a gradient it stays as it is
  ],
  ['gradients without a capture', { w: 1 }, (a) => cgfac().applyGradients(a)],
];

const others: readonly Entry[] = [
  ['withAveragedWeights', {}, (a, { optimizer }) => optimizer.withAveragedWeights(a), code],
  ['setWeights', [], (a, { optimizer }) => optimizer.setWeights(a)],
  ['a weight', { name: 'iter', tensor: 1 }, (a, { optimizer }) => optimizer.setWeights([a])],
  ['the last weight', {}, (a, { optimizer, weights }) => optimizer.setWeights([...weights.slice(0, -1), a])],
  ['shard', {}, (a) => shard(a, local())],
  ['a tensor of shard', {}, (a) => shard([a], local())],
  ['the communicator of shard', ranks(), (a, { x }) => shard(x, a)],
  ['averageGradients', { w: 1 }, (a) => averageGradients(a, local())],
  ['a gradient of averageGradients', {}, (a) => averageGradients({ w: a }, local())],
  ['the communicator of averageGradients', { rank: 0, size: 1 }, (a, { x }) => averageGradients({ x }, a)],
  ['installKernels', { backend: 1, getBackend: 1, getKernel: 1 }, (a) => installKernels(a)],
  ['a function of installKernels', {}, (a) => installKernels({ ...tf, getKernel: a })],
];

const callbacks: readonly Entry[] = [
  ['the optimizer of trainingLine', {}, (a) => trainingLine(a)],
  ['trainingLine', { stream: { write: () => true }, interval: 1 }, (a, { optimizer }) => trainingLine(optimizer, a)],
  [
    'the stream of trainingLine',
    { isTTY: true, columns: 80, write: () => true },
    async (a, { optimizer }) => {
      const line = trainingLine(optimizer, { stream: a, interval: 0 });
      await line.onBatchEnd(0, { loss: 1 });
      await line.onEpochEnd(0, { loss: 1 });
      await line.onTrainEnd();
    },
  ],
  ['the folder of tensorBoard', {}, (a) => tensorBoard(a)],
  ['tensorBoard', { updateFreq: 'batch', optimizer: cgfac() }, (a, { folder }) => tensorBoard(folder, a)],
  ['params', { epochs: 1, steps: 1 }, (a, { optimizer }) => trainingLine(optimizer, quiet).setParams(a)],
  ['an epoch', {}, (a, { optimizer }) => trainingLine(optimizer, quiet).onEpochBegin(a)],
  ['a batch', {}, (a, { optimizer }) => trainingLine(optimizer, quiet).onBatchEnd(a, { loss: 1 })],
  ['logs', { loss: 1 }, (a, { optimizer }) => trainingLine(optimizer, quiet).onBatchEnd(0, a)],
  ['logs of an epoch', { loss: 1 }, (a, { folder }) => tensorBoard(folder).onEpochEnd(0, a)],
];

const quiet = { stream: { write: () => true, isTTY: true }, interval: 0 };

/** An object whose property gives its value once, and throws afterwards. */
function readableOnce(given: object, property: string): object {
  let reads = 0;
  const get = () => {
    if (reads++ > 0) throw new Error('read again');
    return (given as Record<string, unknown>)[property];
  };
  return Object.defineProperty({ ...given }, property, { enumerable: true, get });
}

let folder: string;
let expected: readonly number[];

/** A run in which something happens between a capture and its step. */
async function trained(between: (given: Given) => Promise<void>): Promise<readonly number[]> {
  const run = smallRun();
  run.train(2);
  const weights = await run.optimizer.getWeights();
  const { grads: gradients } = run.optimizer.computeGradients(run.loss, [...run.variables]);
  await between({ ...run, weights, gradients, folder });
  run.optimizer.applyGradients(gradients);
  run.train(1);
  const numbers = await run.numbers();
  run.dispose();
  return numbers;
}

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'cgfac-hostile-'));
});
beforeEach(async () => {
  expected ??= await trained(() => Promise.resolve());
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('whatever is given, an error of the package or a result, and training goes on with the same bits', () => {
  test.each([...ofOptions, ...minimizing, ...others, ...callbacks])('for %s', async (...entry) => {
    const [name, given, call, right = []] = entry as unknown as Entry;
    const found = await trained(async (known) => {
      for (const [what, value] of Object.entries(values)) {
        if (!right.includes(what)) expectCoded(await caught(() => call(value() as never, known)));
        for (const property of Object.keys(given)) {
          // what a communicator or a stream does is the caller's own
          if (code.includes(what) && typeof (given as Record<string, unknown>)[property] === 'function') continue;
          const spoilt = Array.isArray(given) ? [value()] : { ...given, [property]: value() };
          expectCoded(await caught(() => call(spoilt as never, known)));
        }
      }
      if (Array.isArray(given) || Object.keys(given).length === 0) return;
      const unread = await caught(() => call(unreadable(given) as never, known));
      expect(unread).toBeInstanceOf(CgfacError);
      for (const property of Object.keys(given))
        expectCoded(await caught(() => call(readableOnce(given, property) as never, known)));
    });
    expect({ name, found }).toEqual({ name, found: expected });
  });
});

test.each([
  ['cgfac', options, (a: object) => cgfac(a)],
  ['fromConfig', { ...options }, (a: object) => CgfacOptimizer.fromConfig(CgfacOptimizer, a as never)],
  ['trainingLine', quiet, (a: object) => trainingLine(cgfac(), a)],
  ['tensorBoard', { updateFreq: 'batch', optimizer: cgfac() }, (a: object) => tensorBoard(folder, a)],
] as const)('each option of %s is read once', (_, given, call) => {
  for (const property of Object.keys(given)) expect(() => call(readableOnce(given, property))).not.toThrow();
});
