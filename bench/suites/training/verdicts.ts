/** How cgfac() stands against Adam and SGD at the best of their rates, from runs alone. */
import type { Contender } from './contenders';
import type { Run, Told } from './runs';

/** Which loss is compared. */
export type Part = 'train' | 'heldOut';

/** A comparison at one step of one task. */
export interface Cell {
  readonly task: string;
  readonly step: number;
  readonly part: Part;
  /** The means over seeds of cgfac() and of the best rates; NaN where a run of it was not finite or is missing. */
  readonly own: number;
  readonly adam: number;
  /** Undefined where no run of SGD was asked for. */
  readonly sgd: number | undefined;
  /** By how many percent of the best Adam's loss cgfac() is above it, below 0 where it won. */
  readonly percent: number;
  readonly won: boolean;
}

const mean = (values: readonly number[]) =>
  values.length === 0 ? Number.NaN : values.reduce((sum, value) => sum + value, 0) / values.length;

/** The loss of a run after a step: NaN where it is not finite. */
function lossOf(run: Run, step: number, which: Exclude<keyof Told, 'step'>): number {
  return run.told.find((told) => told.step === step)?.[which] ?? Number.NaN;
}

/**
 * The mean over seeds of a contender's loss after a step. Held out, `'averaged'` has the averages of the weights and
 * `'better'` what is less of those and of the weights themselves.
 */
export function meanLoss(runs: readonly Run[], step: number, part: Part, held: 'averaged' | 'better'): number {
  const of = (which: Exclude<keyof Told, 'step'>) => mean(runs.map((run) => lossOf(run, step, which)));
  if (part === 'train') return of('train');
  const averaged = of('averaged');
  if (held === 'averaged') return averaged;
  const raw = of('heldOut');
  return Number.isNaN(averaged) ? raw : Math.min(averaged, Number.isNaN(raw) ? averaged : raw);
}

/** The least of the means that are numbers; NaN where none is. */
function best(values: readonly number[]): number {
  const finite = values.filter((value) => !Number.isNaN(value));
  return finite.length === 0 ? Number.NaN : Math.min(...finite);
}

/** The runs of each contender of a family. */
function familyRuns(
  runs: readonly Run[],
  contenders: readonly Contender[],
  family: Contender['family'],
): readonly Run[][] {
  return contenders
    .filter((contender) => contender.family === family)
    .map(({ name }) => runs.filter((run) => run.contender === name))
    .filter((own) => own.length > 0);
}

/** Whether a task's runs have cgfac() and a rate of Adam to compare. */
export const comparable = (runs: readonly Run[], contenders: readonly Contender[]): boolean =>
  familyRuns(runs, contenders, 'cgfac').length > 0 && familyRuns(runs, contenders, 'adam').length > 0;

/**
 * The cells of one task: at each step and for each loss the mean over seeds of cgfac(), held out with averages of the
 * weights, against the best rate of Adam and of SGD in that cell, held out with what is better for it.
 */
export function cells(runs: readonly Run[], contenders: readonly Contender[]): Cell[] {
  const [own = []] = familyRuns(runs, contenders, 'cgfac');
  const steps = own[0]?.told.map(({ step }) => step) ?? [];
  const [adams, sgds] = [familyRuns(runs, contenders, 'adam'), familyRuns(runs, contenders, 'sgd')];
  const of = (family: readonly (readonly Run[])[], step: number, part: Part) =>
    best(family.map((each) => meanLoss(each, step, part, 'better')));
  const parts: readonly Part[] = ['train', 'heldOut'];
  return steps.flatMap((step) =>
    parts.map((part) => {
      const loss = meanLoss(own, step, part, 'averaged');
      const adam = of(adams, step, part);
      const sgd = sgds.length === 0 ? undefined : of(sgds, step, part);
      const percent = (100 * (loss - adam)) / Math.abs(adam);
      // where every rate of Adam diverged, a loss that is a number has won
      const won = Number.isNaN(adam) ? !Number.isNaN(loss) : loss <= adam;
      return { task: own[0]?.task ?? '', step, part, own: loss, adam, sgd, percent, won };
    }),
  );
}

/** "won by 12 %", "LOST by 3 %", or why there is no percentage. */
export function words({ own, adam, percent, won }: Cell): string {
  if (Number.isNaN(own)) return 'LOST, not finite';
  if (Number.isNaN(adam)) return 'won, Adam is not finite';
  return `${won ? 'won' : 'LOST'} by ${Math.abs(percent).toFixed(Math.abs(percent) < 10 ? 1 : 0)} %`;
}

/** How many cells cgfac() won, and which it lost. */
export function summary(all: readonly Cell[]): string {
  const lost = all.filter(({ won }) => !won);
  const names = lost.map((cell) => `${cell.task} @${cell.step} ${titles[cell.part]}`);
  const count = `cgfac() won ${all.length - lost.length} of ${all.length} cells against the best Adam`;
  return lost.length === 0 ? count : `${count}; lost: ${names.join(', ')}`;
}

/** What the losses are called. */
export const titles: Readonly<Record<Part, string>> = { train: 'training', heldOut: 'held out' };

/** What one thing changed makes of a task. */
export interface Change {
  readonly task: string;
  readonly contender: string;
  /** The seeds that diverged, each with the reason. */
  readonly diverged: readonly string[];
  /** Training loss at the last step, as a multiple of that of cgfac() without options. */
  readonly train: number;
  /** Held-out loss at the last step, as such a multiple. */
  readonly heldOut: number;
}

/** What changes make of a task, cgfac() itself at the head of them. */
export function changes(runs: readonly Run[], contenders: readonly Contender[]): Change[] {
  const [own = []] = familyRuns(runs, contenders, 'cgfac');
  const last = own[0]?.told.at(-1)?.step ?? 0;
  const ratio = (each: readonly Run[], part: Part) =>
    meanLoss(each, last, part, 'averaged') / meanLoss(own, last, part, 'averaged');
  return [own, ...familyRuns(runs, contenders, 'variation')]
    .filter((each) => each.length > 0)
    .map((each) => ({
      task: each[0]?.task ?? '',
      contender: each[0]?.contender ?? '',
      diverged: each.flatMap(({ seed, diverged }) => (diverged === undefined ? [] : [`seed ${seed}: ${diverged}`])),
      train: ratio(each, 'train'),
      heldOut: ratio(each, 'heldOut'),
    }));
}
