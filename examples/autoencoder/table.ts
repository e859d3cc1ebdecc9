import type { Run } from './run';

/** The steps whose evaluations make the columns; of a shorter or longer run, its last step besides. */
const COLUMNS = [10, 25, 50];

const NAME = 10;
const SPEED = 8;
const CELLS = [7, 7, 6] as const;
const COLUMN = CELLS[0] + CELLS[1] + CELLS[2];

function cells(...texts: [string, string, string]): string {
  return texts.map((text, i) => text.padStart(CELLS[i] ?? 0)).join('');
}

/**
 * A table of the evaluations: nats per image on the digits trained on and held out and the squared error ('sq.') by
 * step, beside the median milliseconds of a step; a second line for averaged weights, where there are any.
 */
export function errorTable(runs: readonly Run[]): string {
  const evaluated = new Set(runs.flatMap((run) => run.evaluations.map(({ step }) => step)));
  const last = Math.max(...runs.map(({ steps }) => steps));
  const columns = [...COLUMNS.filter((step) => evaluated.has(step)), ...(COLUMNS.includes(last) ? [] : [last])].sort(
    (a, b) => a - b,
  );

  const row = (name: string, speed: string, { evaluations }: Run, averages: boolean) => {
    const texts = columns.map((step) => {
      const found = evaluations.find((evaluation) => evaluation.step === step && evaluation.averaged === averages);
      return found
        ? cells(found.train.toFixed(1), found.heldOut.toFixed(1), found.squaredError.toFixed(1))
        : ''.padStart(COLUMN);
    });
    return name.padEnd(NAME) + speed.padStart(SPEED) + texts.join('');
  };
  const rows = runs.flatMap((run) => [
    row(run.optimizer, run.msPerStep.toFixed(0), run, false),
    ...(run.evaluations.some(({ averaged }) => averaged) ? [row('  averaged', '', run, true)] : []),
  ]);
  const steps = columns.map((step) => `step ${step}`.padStart(COLUMN)).join('');
  const units = columns.map(() => cells('train', 'held', 'sq.')).join('');
  return [''.padEnd(NAME + SPEED) + steps, 'optimizer'.padEnd(NAME) + 'ms/step'.padStart(SPEED) + units, ...rows].join(
    '\n',
  );
}

const WIDTH = 100;
const INDENT = '  ';
const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`;

/** Parts with commas between them, in lines that fit. */
function listed(parts: readonly string[]): string[] {
  const lines: string[] = [];
  parts.forEach((part, i) => {
    const text = i < parts.length - 1 ? `${part},` : part;
    const longer = `${lines.at(-1)} ${text}`;
    if (lines.length > 0 && longer.length <= WIDTH) lines[lines.length - 1] = longer;
    else lines.push(INDENT + text);
  });
  return lines;
}

/** What the run's preconditioner is, and what it cost; `undefined` where it does not tell. */
export function costText({ optimizer, preconditioner, weightBytes }: Run): string | undefined {
  if (!preconditioner) return undefined;
  const { recipe, share, memory } = preconditioner;
  const kept = (['momentum', 'averages', 'factors', 'recorded', 'workspace'] as const).map(
    (key) => `${key} ${megabytes(memory[key])}`,
  );
  return [
    `${optimizer}:`,
    ...listed(recipe.split(', ')),
    `${INDENT}${(100 * share).toFixed(0)} % of a step (median) is the preconditioner's own; ` +
      `it keeps ${megabytes(memory.total)} beside ${megabytes(weightBytes)} of weights:`,
    ...listed(kept),
  ].join('\n');
}
