/** What holds for every layer with weights, on every backend: models, and what is expected of each. */
import * as tf from '@tensorflow/tfjs-core';
import { type LayersModel, type Sequential, sequential } from '@tensorflow/tfjs-layers';
import { Preconditioner } from '../../../lib/adapter-kit';
import { CgfacOptimizer, cgfac, type InstalledKernels, type OptimizerReport } from '../../../lib/tfjs';
import type { CapturedLayer } from '../../../lib/tfjs/capture/capture';
import { install } from '../../../lib/tfjs/kernels/install';
import { THRESHOLDS, type Thresholds } from '../../../lib/tfjs/kernels/kernel';
import { isGiven, partsOf } from '../../../lib/tfjs/kinds/layer-kind';
import { readPart } from '../../../lib/tfjs/kinds/part';
import { normal, relativeError, useBackend } from './backends';
import { capturedRows, gradientsOfRows } from './capture';
import { oneHot } from './one-layer';
import { NO_THRESHOLDS } from './thresholds';

/** Float32 sums of some hundred products, in another order than the framework's. */
const TOLERANCE = 1e-5;

/** A model with its data and its loss. */
export interface Canary {
  /** The variables that are trained. */
  readonly variables: readonly tf.Variable[];
  /** The loss of a training step. */
  readonly loss: () => tf.Scalar;
  /** What a program does between two steps. */
  readonly between: () => void;
  readonly dispose: () => void;
  /** The kinds of its blocks, as the report names them in order. Default: dense all of them. */
  readonly kinds?: readonly OptimizerReport['layers'][number]['kind'][];
  /** How many of its variables have a diagonal, for no kind of layer covers them. Default: none. */
  readonly lone?: number;
}

/** A layer, as models are made of. */
export type Layer = Parameters<Sequential['add']>[0];

/** The loss of what a model makes. */
export type Loss = (prediction: tf.Tensor) => tf.Tensor;

/** Samples of every batch here. */
export const SAMPLES = 6;

/** The classes of {@link classes}. */
export const CLASSES = 3;

/** The cross-entropy of a softmax and fixed classes. */
export const classes: Loss = (logits) =>
  tf.losses.softmaxCrossEntropy(tf.reshape(oneHot(logits.size / CLASSES, 4), logits.shape), logits);

/** The squared error against fixed numbers. */
export const squares: Loss = (prediction) => tf.losses.meanSquaredError(normal(prediction.shape, 5), prediction);

/** A model of layers one after the other. */
export const inARow = (...stack: Layer[]) => sequential({ layers: stack });

/** A model with its data, in training, which the canary disposes of. */
export function canaryOf(
  net: LayersModel,
  loss: Loss,
  x: tf.Tensor,
  expected: Pick<Canary, 'kinds' | 'lone'> = {},
): Canary {
  return {
    ...expected,
    variables: net.trainableWeights.map((weight) => weight.read() as tf.Variable),
    loss: () => tf.tidy(() => loss(net.apply(x, { training: true }) as tf.Tensor) as tf.Scalar),
    between: () => net.resetStates(),
    dispose: () => {
      net.dispose();
      x.dispose();
    },
  };
}

const bits = (variables: readonly tf.Variable[]) => variables.map((each) => Array.from(each.dataSync()));

/** Steps of an optimizer; the calls of the loss. */
function take(optimizer: CgfacOptimizer, { loss, variables, between }: Canary, steps: number): number {
  let calls = 0;
  const counted = () => {
    calls++;
    return loss();
  };
  for (let step = 0; step < steps; step++) {
    optimizer.minimize(counted, false, [...variables]);
    between();
  }
  return calls;
}

/** Far above all factors: the direction of a layer is its gradient over it. */
const HUGE = 1e18;

/** The gradient that a preconditioner makes of the rows of a layer whose own is the framework's. */
function preconditionedRows({ sites, bias, siteInputs, lossGrads, samples }: CapturedLayer) {
  const preconditioner = new Preconditioner({
    lossReduction: 'sum',
    stepRule: 'fixed',
    momentum: 0,
    useEma: false,
    factorHistory: 'none',
    damping: HUGE,
  });
  const register = sites[0].registration(bias !== undefined, sites[0].outFeatures);
  register(preconditioner, 'layer', { recurrent: false, attended: false, judged: false, output: false });
  for (const [site, inputs] of siteInputs.entries())
    preconditioner.record('layer', { inputs, lossGrads: lossGrads[site] ?? new Float32Array(), batch: samples, site });
  const { layer = new Float32Array() } = preconditioner.naturalGradientsSync().updates;
  // the rows are gradients of the mean over the samples, of which a preconditioner takes another mean
  const [kernel, shift] = (layer instanceof Float32Array ? [layer] : [layer.kernel, layer.bias]).map((numbers) =>
    Float64Array.from(numbers, (number) => number * HUGE * samples),
  );
  return { kernel: kernel ?? new Float64Array(), bias: shift ?? new Float64Array() };
}

/** Compares the gradients of a layer's rows with the framework's own; the numbers that were compared. */
function compareRows(layer: CapturedLayer, grads: tf.NamedTensorMap): number {
  const rows = isGiven(layer) ? preconditionedRows(layer) : gradientsOfRows(layer);
  let numbers = 0;
  for (const [index, part] of partsOf(layer).entries()) {
    const read = (all: Float32Array | undefined) => readPart(part, all ?? new Float32Array(part.variable.size));
    const penalties = read(layer.penaltyGrads.get(part.variable));
    const found = (index === 0 ? rows.kernel : rows.bias).map((value, at) => value + (penalties[at] ?? 0));
    const expected = read(grads[part.variable.name]?.dataSync<'float32'>());
    // a recurrent kernel of one step sees the state before it alone, which is 0
    if (expected.every((value) => value === 0)) expect(found.every((value) => value === 0)).toBe(true);
    else expect(relativeError(found, expected)).toBeLessThan(TOLERANCE);
    numbers += found.length;
  }
  return numbers;
}

const sizeOf = (variables: readonly { readonly size: number }[]) => variables.reduce((sum, { size }) => sum + size, 0);

function comparesGradients(make: () => Canary): void {
  const net = make();
  const { taken, grads } = capturedRows(net.loss, net.variables);
  net.between();
  expect(taken.lone).toHaveLength(net.lone ?? 0);
  const numbers = taken.layers.reduce((sum, layer) => sum + compareRows(layer, grads), 0);
  // every number of every variable once
  expect(numbers + sizeOf(taken.lone.map(({ variable }) => variable))).toBe(sizeOf(net.variables));
  tf.dispose(grads);
  net.dispose();
}

function takesSteps(make: () => Canary): void {
  const net = make();
  const optimizer = cgfac({ seed: 2 });
  expect(take(optimizer, net, 2)).toBe(2);
  const before = tf.memory().numTensors;
  expect(take(optimizer, net, 20)).toBe(20);
  expect(tf.memory().numTensors).toBe(before);
  expect(optimizer.lastStep?.summary?.skipped).toBeUndefined();
  const { layers = [] } = optimizer.report() ?? {};
  const kinds = layers.map(({ kind }) => kind);
  const lone = net.lone ?? 0;
  expect(kinds).toEqual(net.kinds ?? kinds.map(() => 'dense'));
  expect(kinds.filter((kind) => kind === 'diagonal')).toHaveLength(lone);
  expect(layers.filter(({ reason }) => reason !== undefined)).toHaveLength(lone);
  expect(layers.reduce((sum, { weights }) => sum + weights, 0)).toBe(sizeOf(net.variables));
  expect(layers.every(({ averaged }) => averaged)).toBe(true);
  optimizer.dispose();
  net.dispose();
}

async function resumes(make: () => Canary): Promise<void> {
  const net = make();
  const first = cgfac({ seed: 2 });
  take(first, net, 3);
  const saved = await first.getWeights();
  const weights = net.variables.map((each) => each.clone());
  take(first, net, 3);
  const expected = bits(net.variables);
  const averaged = await first.withAveragedWeights(() => bits(net.variables));

  for (const [index, each] of net.variables.entries()) each.assign(weights[index] ?? each);
  const second = CgfacOptimizer.fromConfig(CgfacOptimizer, first.getConfig()) as CgfacOptimizer;
  await second.setWeights(saved);
  take(second, net, 3);
  expect(bits(net.variables)).toEqual(expected);
  expect(await second.withAveragedWeights(() => bits(net.variables))).toEqual(averaged);
  for (const optimizer of [first, second]) optimizer.dispose();
  net.dispose();
}

/** Where a table is tested: a backend, and how large what the kernels of this package take on it is at the least. */
export interface Place {
  readonly name: string;
  readonly backend: 'cpu' | 'wasm';
  readonly kernels?: Thresholds;
}

/** The backends as they are. */
export const stock: readonly Place[] = [
  { name: 'cpu', backend: 'cpu' },
  { name: 'wasm', backend: 'wasm' },
];

/** The backends with the kernels of this package on wasm, with their own thresholds and with none. */
export const withKernels: readonly Place[] = [
  { name: 'cpu', backend: 'cpu' },
  { name: 'wasm', backend: 'wasm', kernels: THRESHOLDS },
  { name: 'wasm, all of it by kernels', backend: 'wasm', kernels: NO_THRESHOLDS },
];

/** The tests of each row of a table, at some places. */
export function testCanaries(rows: Readonly<Record<string, () => Canary>>, places: readonly Place[]): void {
  describe.each(places)('on $name', ({ backend, kernels }) => {
    let installed: InstalledKernels | undefined;
    beforeAll(async () => {
      await useBackend(backend);
      if (kernels) installed = install(tf, kernels);
    });
    afterAll(() => installed?.uninstall());
    afterEach(() => tf.disposeVariables());

    describe.each(Object.entries(rows))('%s', (_, make) => {
      it('has rows that give the gradients of the framework', () => comparesGradients(make));

      it('has its block for each variable, one call of the loss in a step, and leaves no tensor behind', () =>
        takesSteps(make));

      it('goes on from what was saved with the same bits', () => resumes(make));
    });
  });
}
