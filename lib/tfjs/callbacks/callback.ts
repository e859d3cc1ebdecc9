/** What callbacks of `model.fit` have in common, without a class of TensorFlow.js's layers. */
import type { Tensor } from '@tensorflow/tfjs-core';
import { reading, typeError, unreadable } from '../../adapter-kit';

/** What a training loop tells of a batch or an epoch, as it is given: numbers, or scalars of some backend. */
export type Logs = Readonly<Record<string, number | Tensor>>;

/**
 * A callback for `model.fit` and `model.fitDataset`: `callbacks: …`, by itself or in an array, beside those of
 * TensorFlow.js too. A training loop of your own calls its methods.
 */
export interface FitCallback {
  /** Takes note of the epochs and batches that are to come. */
  setParams(params: Readonly<Record<string, unknown>>): void;
  /** Does nothing: the optimizer is told where the callback is made. */
  setModel(model: unknown): void;
  /** Called before the first epoch. */
  onTrainBegin(logs?: Logs): Promise<void>;
  /** Called after the last epoch. */
  onTrainEnd(logs?: Logs): Promise<void>;
  /** Called before an epoch, the first being 0. */
  onEpochBegin(epoch: number, logs?: Logs): Promise<void>;
  /** Called after an epoch, with its means and those of validation. */
  onEpochEnd(epoch: number, logs?: Logs): Promise<void>;
  /** Called before a batch, the first of an epoch being 0. */
  onBatchBegin(batch: number, logs?: Logs): Promise<void>;
  /** Called after a batch, with its loss. */
  onBatchEnd(batch: number, logs?: Logs): Promise<void>;
}

/** What of it one does; the rest does nothing. */
export type Handlers = Partial<Omit<FitCallback, 'setModel'>>;

const nothing = (): Promise<void> => Promise.resolve();

type Counted = (index: number, logs?: Logs) => Promise<void>;

/** A handler of an epoch or a batch, whose number is checked. */
function counted(name: 'epoch' | 'batch', handler: Counted = nothing): Counted {
  return async (index, logs) => {
    if (typeof index !== 'number') throw typeError('a number', name, index);
    await handler(index, logs);
  };
}

/**
 * A callback of handlers. TensorFlow.js takes an instance of its own class as it is, and any other object by its
 * methods, apart from it: none of them may need `this`.
 */
export function fitCallback(handlers: Handlers): FitCallback {
  return {
    setParams: (params) => {
      if (typeof params !== 'object' || params === null) throw typeError('an object', 'params', params);
      reading('an object that can be read', 'params', () => handlers.setParams?.(params));
    },
    setModel: () => {},
    onTrainBegin: handlers.onTrainBegin ?? nothing,
    onTrainEnd: handlers.onTrainEnd ?? nothing,
    onEpochBegin: counted('epoch', handlers.onEpochBegin),
    onEpochEnd: counted('epoch', handlers.onEpochEnd),
    onBatchBegin: counted('batch', handlers.onBatchBegin),
    onBatchEnd: counted('batch', handlers.onBatchEnd),
  };
}

/** The first number of a scalar that a training loop tells. */
async function numberIn(value: Tensor, name: string): Promise<number> {
  try {
    if (typeof value?.data !== 'function') throw typeError('a number or a scalar', name, value);
    const [number = Number.NaN] = await value.data();
    return number;
  } catch (thrown) {
    throw unreadable('a scalar that can be read', name, thrown);
  }
}

/** Numbers of logs by their names, the sizes of batches apart. */
export async function numbersOf(logs: Logs | undefined): Promise<Map<string, number>> {
  const found = new Map<string, number>();
  for (const [name, value] of reading('an object that can be read', 'logs', () => Object.entries(logs ?? {}))) {
    if (name === 'batch' || name === 'size' || name === 'num_steps') continue;
    found.set(name, typeof value === 'number' ? value : await numberIn(value, `logs.${name}`));
  }
  return found;
}
