import type { Run } from './run';

/** A table of loss, error and seconds by step, optimizers beside each other, and what a step of each takes. */
export function classifierTable(runs: readonly Run[]): string {
  const steps = runs[0]?.evaluations.map(({ step }) => step) ?? [];
  const heads = runs.map(({ optimizer }) => optimizer.padStart(28)).join('');
  const units = runs.map(() => 'loss'.padStart(11) + 'error'.padStart(8) + 'seconds'.padStart(9)).join('');
  const rows = steps.map((step, index) => {
    const cells = runs.map(({ evaluations }) => {
      const { loss = Number.NaN, accuracy = Number.NaN, seconds = Number.NaN } = evaluations[index] ?? {};
      return (
        loss.toFixed(4).padStart(11) + (100 * (1 - accuracy)).toFixed(2).padStart(8) + seconds.toFixed(1).padStart(9)
      );
    });
    return String(step).padStart(6) + cells.join('');
  });
  const times = runs
    .map(({ optimizer, stepMilliseconds }) => `${optimizer} ${stepMilliseconds.toFixed(0)} ms`)
    .join(', ');
  const [first, second] = runs.map(({ stepMilliseconds }) => stepMilliseconds);
  const ratio = first !== undefined && second !== undefined ? `: ${(first / second).toFixed(2)} ×` : '';
  return [''.padEnd(6) + heads, 'step'.padStart(6) + units, ...rows, '', `Median step: ${times}${ratio}`].join('\n');
}
