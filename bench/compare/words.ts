/** Figures of a comparison as text: the same in a terminal, in the report and in documents. */
import type { Comparison, Mark, MethodResult, Spread, TaskResult } from './result';

/** A figure of three digits that keeps its magnitude readable; a dash for none. */
export function shown(value: number | null | undefined): string {
  if (value === null || value === undefined || Number.isNaN(value)) return '–';
  const size = Math.abs(value);
  if (size === 0) return '0';
  if (size >= 1e6 || size < 1e-4) return value.toExponential(2).replace('-', '−');
  return (size >= 1000 ? value.toFixed(0) : value.toPrecision(3)).replace('-', '−');
}

/** The mean of the seeds. */
export const shownMean = ({ mean }: Spread): string => (mean === null ? 'not finite' : shown(mean));

/** From the least to the most of the seeds; empty where they are one, or look alike. */
export function shownRange({ least, most }: Spread): string {
  const [from, to] = [shown(least), shown(most)];
  return from === to ? '' : `${from}–${to}`;
}

/** MiB of three digits. */
export const shownMib = (bytes: number): string => (bytes === 0 ? '0' : shown(bytes / 2 ** 20));

/** What stands for a mark. */
export const signs: Readonly<Record<Mark, string>> = { won: '▲', lost: '▼', even: '=', reference: '', none: '' };

const count = (methods: readonly MethodResult[], part: keyof MethodResult['marks'], mark: Mark) =>
  methods.filter((method) => method.marks[part] === mark).length;

function taskLine(task: TaskResult): string {
  if (task.unavailable !== undefined) return `${task.title}: NOT RUN: ${task.unavailable}`;
  const ranked = [...task.methods].sort(
    (a, b) => (a.train.mean ?? Number.POSITIVE_INFINITY) - (b.train.mean ?? Number.POSITIVE_INFINITY),
  );
  const order = ranked.map(({ title, train }) => `${title} ${shownMean(train)}`).join(', ');
  return `${task.title}, ${task.unit} after ${task.steps} steps: ${order}`;
}

/** The closing lines of a comparison: who came in where, and what cgfac() won and lost. */
export function closing({ tasks }: Comparison): string {
  const lines = tasks.map(taskLine);
  const ours = tasks.flatMap(({ methods }) => methods.filter(({ name }) => name === 'cgfac'));
  const parts = [
    ['training', 'train'],
    ['held out', 'heldOut'],
    ['at equal time', 'atEqualTime'],
  ] as const;
  const verdicts = parts.map(
    ([title, part]) => `${title} ${count(ours, part, 'won')} won, ${count(ours, part, 'lost')} lost`,
  );
  return [...lines, '', `cgfac() beside the tuned Adam on ${ours.length} tasks: ${verdicts.join('; ')}`].join('\n');
}
