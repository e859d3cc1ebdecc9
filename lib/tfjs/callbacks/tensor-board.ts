import { join } from 'node:path';
import { readOptions, typeError, valueError } from '../../adapter-kit';
import { CgfacOptimizer } from '../optimizer';
import type { StepReport } from '../step/report';
import { type FitCallback, fitCallback, type Logs, numbersOf } from './callback';
import { EventFile } from './event-file';

/** What {@link tensorBoard} writes, and how often. */
export interface TensorBoardOptions {
  /** Whether losses and metrics are written after each epoch alone, or after each batch too. Default: 'epoch'. */
  readonly updateFreq?: 'batch' | 'epoch';
  /**
   * The optimizer that the model is compiled with: then the length of steps, φ, Σ⟨v, x⟩ and each layer's coefficient,
   * λ_max/λ, iterations and residual are written as often, under `cgfac/`. Default: none.
   */
  readonly optimizer?: CgfacOptimizer;
}

const VALIDATION = 'val_';

/** Numbers of a step by the names that TensorBoard shows; a layer's name comes last. */
export function stepNumbers(step: StepReport | undefined): Map<string, number> {
  const { summary } = step ?? {};
  const found = new Map<string, number>();
  if (summary === undefined) return found;
  const add = (name: string, value: number | undefined) => {
    if (value !== undefined) found.set(`cgfac/${name}`, value);
  };
  add('skipped_steps', summary.skippedSteps.total);
  if (summary.skipped !== undefined) return found;
  add('step_size', summary.stepSize);
  add('fraction', summary.fraction);
  add('inner_product', summary.innerProduct);
  add('predicted_decrease', summary.predictedDecrease);
  for (const layer of summary.layers) {
    add(`coefficient/${layer.name}`, layer.stepSize);
    add(`lambda_max_over_damping/${layer.name}`, layer.lambdaMaxOverDamping);
    if (layer.method !== 'cg') continue;
    add(`iterations/${layer.name}`, layer.iterations);
    add(`residual/${layer.name}`, layer.residual);
  }
  return found;
}

function resolved(logdir: string, options: TensorBoardOptions) {
  if (typeof logdir !== 'string') throw typeError('a string', 'logdir', logdir);
  if (logdir === '') throw valueError('the path of a folder', 'logdir', logdir);
  if (logdir.includes('\0')) throw valueError('a path without null bytes', 'logdir', logdir.replaceAll('\0', '\\0'));
  const { updateFreq = 'epoch', optimizer } = readOptions(options, 'tensorBoard', ['updateFreq', 'optimizer']);
  if (updateFreq !== 'batch' && updateFreq !== 'epoch')
    throw valueError("'batch' or 'epoch'", 'updateFreq', updateFreq);
  if (optimizer !== undefined && !(optimizer instanceof CgfacOptimizer))
    throw typeError('a CgfacOptimizer', 'optimizer', optimizer);
  return { updateFreq, optimizer };
}

/**
 * Makes a callback for `model.fit` that writes event files for TensorBoard, as `tf.node.tensorBoard` of
 * `@tensorflow/tfjs-node` does, without that package: `epoch_loss` and the like, with `updateFreq: 'batch'` also
 * `batch_loss`, into `logdir/train`, those of validation into `logdir/val`. `tensorboard --logdir logdir` shows them.
 *
 * @param logdir - The folder, which is made where it is not there.
 * @param options - See {@link TensorBoardOptions}.
 * @throws {@link CgfacError} `ERR_CGFAC_INVALID_ARG_TYPE`, `ERR_CGFAC_INVALID_ARG_VALUE`, `ERR_CGFAC_UNKNOWN_OPTION`.
 * Training fails with `ERR_CGFAC_INVALID_ARG_VALUE` where a folder cannot be made or written to.
 */
export function tensorBoard(logdir: string, options: TensorBoardOptions = {}): FitCallback {
  const { updateFreq, optimizer } = resolved(logdir, options);
  const [train, validation] = [new EventFile(join(logdir, 'train')), new EventFile(join(logdir, 'val'))];
  let batches = 0;
  const write = async (prefix: string, step: number, logs: Logs | undefined) => {
    const own = new Map<string, number>();
    const held = new Map<string, number>();
    for (const [name, value] of await numbersOf(logs)) {
      if (name.startsWith(VALIDATION)) held.set(prefix + name.slice(VALIDATION.length), value);
      else own.set(prefix + name, value);
    }
    train.write(step, new Map([...own, ...(prefix === PREFIXES[updateFreq] ? stepNumbers(optimizer?.lastStep) : [])]));
    validation.write(step, held);
  };
  return fitCallback({
    onBatchEnd: async (_, logs) => {
      if (updateFreq === 'batch') await write(PREFIXES.batch, ++batches, logs);
    },
    onEpochEnd: (epoch, logs) => write(PREFIXES.epoch, epoch + 1, logs),
  });
}

const PREFIXES = { batch: 'batch_', epoch: 'epoch_' } as const;
