import type { Run } from './autoencoder-run';

/** The steps whose evaluations make the columns; of a shorter run, its last step besides. */
const COLUMNS = [10, 25, 50];

/** A table of the evaluation loss, and of the training seconds up to it, per optimizer. */
export function lossTable(runs: readonly Run[]): string {
  const evaluated = new Set(runs.flatMap((run) => run.evaluations.map(({ step }) => step)));
  const last = Math.max(...runs.map(({ steps }) => steps));
  const columns = [...COLUMNS.filter((step) => evaluated.has(step)), ...(COLUMNS.includes(last) ? [] : [last])].sort((a, b) => a - b);

  const heads = columns.map((step) => `step ${step}`.padStart(18)).join('');
  const units = columns.map(() => 'loss'.padStart(9) + 'seconds'.padStart(9)).join('');
  const rows = runs.map(({ optimizer, evaluations }) => {
    const cells = columns.map((step) => {
      const found = evaluations.find((evaluation) => evaluation.step === step);
      return found ? found.loss.toFixed(4).padStart(9) + found.seconds.toFixed(1).padStart(9) : ''.padStart(18);
    });
    return optimizer.padEnd(10) + cells.join('');
  });
  return [''.padEnd(10) + heads, 'optimizer '.padEnd(10) + units, ...rows].join('\n');
}
