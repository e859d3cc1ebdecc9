import type { Optimizer, Scalar, Tensor, Variable } from '@tensorflow/tfjs-core';
import type { Batch, Compiled, Data, Loss, Making, Minimized, Program } from './programs/making';

/** A program that is ready to train: both forms of it behind one face. Its losses are in the program's own units. */
export interface Trainable {
  readonly weights: readonly Variable[];
  readonly data: Data;
  /** Takes a step on a batch; the loss before it. */
  step(batch: number): Promise<number>;
  /** The mean loss of batches. */
  loss(batches: readonly Batch[]): number;
  /** What a compiled program makes of inputs; the caller disposes of it. */
  readonly outputs?: (x: Tensor) => Tensor;
  /** Lets go of the model, the data and the optimizer. */
  dispose(): void;
}

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

const read = (loss: Tensor): number => {
  const [value = Number.NaN] = loss.dataSync();
  loss.dispose();
  return value;
};

/** The losses that programs name, as functions. */
function lossFunction({ tf, tfl }: Making, name: string): Loss {
  const { metrics } = tfl;
  const logarithm = (y: Tensor) => tf.log(tf.add(1, tf.maximum(y, 1e-7)));
  const known: Readonly<Record<string, Loss>> = {
    meanSquaredError: metrics.meanSquaredError,
    meanAbsoluteError: metrics.meanAbsoluteError,
    binaryCrossentropy: metrics.binaryCrossentropy,
    categoricalCrossentropy: metrics.categoricalCrossentropy,
    cosineProximity: metrics.cosineProximity,
    meanSquaredLogarithmicError: (y, z) => tf.mean(tf.squaredDifference(logarithm(y), logarithm(z)), -1),
    hinge: (y, z) => tf.mean(tf.relu(tf.sub(1, tf.mul(y, z))), -1),
  };
  const found = known[name];
  if (found === undefined) throw new RangeError(`Expected a loss that can be multiplied but received '${name}'`);
  return found;
}

/** A loss times a number; as it is given where that is 1. */
function multiplied(making: Making, loss: string | Loss, factor: number): string | Loss {
  if (factor === 1) return loss;
  const own = typeof loss === 'string' ? lossFunction(making, loss) : loss;
  return (y, z) => making.tf.mul(factor, own(y, z));
}

function compiled(
  making: Making,
  { model, loss, data }: Compiled,
  optimizer: Optimizer,
  factor: number,
): Omit<Trainable, 'dispose'> {
  model.compile({ optimizer, loss: multiplied(making, loss, factor) as string | ((y: Tensor, z: Tensor) => Scalar) });
  return {
    weights: model.trainableWeights.map((weight) => weight.read() as Variable),
    data,
    step: async (batch) => {
      const [x, y] = data.batches[batch] as Batch;
      return ((await model.trainOnBatch(x, y)) as number) / factor;
    },
    outputs: (x) => model.predict(x, { batchSize: x.shape[0] as number }) as Tensor,
    loss: (batches) => {
      // the default of evaluate cuts a batch into parts of 32
      const each = batches.map(([x, y]) => read(model.evaluate(x, y, { batchSize: x.shape[0] as number }) as Scalar));
      return mean(each) / factor;
    },
  };
}

/** Where the seeds of an evaluation's noise begin, which no step draws from. */
const EVALUATION_SEED = 1_000_000;

function minimized(
  { tf, seed }: Making,
  { loss, weights, data }: Minimized,
  optimizer: Optimizer,
  factor: number,
): Omit<Trainable, 'dispose'> {
  let steps = 0;
  return {
    weights,
    data,
    step: (batch) => {
      const noise = 1000 * seed + ++steps;
      const scaled = () => tf.mul(factor, loss(data.batches[batch] as Batch, noise)) as Scalar;
      const cost = optimizer.minimize(scaled, true, [...weights]);
      return Promise.resolve(cost === null ? Number.NaN : read(cost) / factor);
    },
    loss: (batches) =>
      mean(batches.map((batch, place) => read(tf.tidy(() => loss(batch, EVALUATION_SEED + seed + place))))),
  };
}

/** Makes a program ready to train with an optimizer, its loss multiplied by a factor. */
export function trainable(making: Making, program: Program, optimizer: Optimizer, lossFactor: number): Trainable {
  const { tf } = making;
  const kept: { made?: Compiled | Minimized } = {};
  // what a tidy gives back it searches for tensors to keep; a model is none of them, and its weights stay anyway
  tf.tidy(() => {
    kept.made = program.make(making);
    return [...kept.made.data.batches, ...kept.made.data.heldOut].flat();
  });
  const { made } = kept;
  if (made === undefined) throw new Error(`${program.name} made nothing`);
  const ready =
    made.kind === 'compiled'
      ? compiled(making, made, optimizer, lossFactor)
      : minimized(making, made, optimizer, lossFactor);
  return {
    ...ready,
    dispose: () => {
      tf.dispose([...made.data.batches, ...made.data.heldOut].flat());
      if (made.kind === 'compiled') made.model.dispose();
      else tf.dispose([...made.weights]);
      optimizer.dispose();
    },
  };
}
