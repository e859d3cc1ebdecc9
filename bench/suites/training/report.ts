/** The runs of the suite `tasks` for people: tables for a terminal and for a document. */
import type { Contender } from './contenders';
import type { Program } from './programs/making';
import type { Run } from './runs';
import { type Cell, cells, changes, comparable, meanLoss, type Part, summary, titles, words } from './verdicts';

/** A task with its runs, or why it was not run. */
export interface TaskRuns {
  readonly program: Program;
  readonly runs: readonly Run[];
  readonly unavailable?: string;
}

/** A figure of three digits that keeps its magnitude readable. */
export function shown(value: number): string {
  if (Number.isNaN(value)) return 'not finite';
  const size = Math.abs(value);
  if (size >= 1000 && size < 1e6) return value.toFixed(0);
  const text = value.toPrecision(3);
  return size !== 0 && size < 1e-4 ? value.toExponential(2) : text;
}

const align = (lines: readonly (readonly string[])[]): string[] => {
  const widths = (lines[0] ?? []).map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)));
  return lines.map((line) =>
    line
      .map((text, column) => (column < 1 ? text.padEnd(widths[column] ?? 0) : text.padStart(widths[column] ?? 0)))
      .join('  ')
      .trimEnd(),
  );
};

const markdownTable = ([head = [], ...lines]: readonly (readonly string[])[]): string[] => [
  `| ${head.join(' | ')} |`,
  `|${head.map(() => '---').join('|')}|`,
  ...lines.map((line) => `| ${line.join(' | ')} |`),
];

const ofPart = (all: readonly Cell[], part: Part) => all.filter((cell) => cell.part === part);

/** A line for each step: cgfac(), the best Adam, the best SGD, and the verdict, of either loss. */
function comparison(all: readonly Cell[]): string[] {
  const side = (cell: Cell | undefined) =>
    cell ? [shown(cell.own), shown(cell.adam), cell.sgd === undefined ? 'not run' : shown(cell.sgd), words(cell)] : [];
  const head = ['step', ...Object.values(titles).flatMap((title) => [`${title}: cgfac()`, 'Adam', 'SGD', 'verdict'])];
  const lines = ofPart(all, 'train').map((cell, place) => [
    String(cell.step),
    ...side(cell),
    ...side(ofPart(all, 'heldOut')[place]),
  ]);
  return align([head, ...lines]);
}

/** A line for each contender: its losses at each step, and a step's milliseconds. */
function everyone(runs: readonly Run[], contenders: readonly Contender[]): string[] {
  const steps = runs[0]?.told.map(({ step }) => step) ?? [];
  const lines = contenders.flatMap(({ name }) => {
    const own = runs.filter((run) => run.contender === name);
    if (own.length === 0) return [];
    const losses = steps.map(
      (step) =>
        `${shown(meanLoss(own, step, 'train', 'averaged'))} / ${shown(meanLoss(own, step, 'heldOut', 'averaged'))}`,
    );
    const ms = own.reduce((sum, run) => sum + run.ms, 0) / own.length;
    return [[name, ...losses, ms.toFixed(1)]];
  });
  return align([['training / averaged held out', ...steps.map((step) => `@${step}`), 'ms/step'], ...lines]);
}

/** A line for each thing that was changed: the seeds that diverged, and its last losses beside those without it. */
function changed(runs: readonly Run[], contenders: readonly Contender[]): string[] {
  const all = changes(runs, contenders);
  if (all.length < 2) return [];
  const lines = all.map(({ contender, diverged, train, heldOut }) => [
    contender,
    diverged.length === 0 ? 'none' : diverged.join('; '),
    Number.isNaN(train) ? '' : `${train.toFixed(2)} ×`,
    Number.isNaN(heldOut) ? '' : `${heldOut.toFixed(2)} ×`,
  ]);
  return align([['changed', 'diverged', 'last training loss', 'last held out'], ...lines]);
}

function problems(runs: readonly Run[]): string[] {
  return runs.flatMap(({ contender, seed, failed, diverged }) => {
    if (failed !== undefined) return [`FAILED: ${contender}, seed ${seed}: ${failed}`];
    return diverged === undefined ? [] : [`diverged: ${contender}, seed ${seed}: ${diverged}`];
  });
}

/** What optimizers said, each sentence once, and who said it. */
function notices(runs: readonly Run[]): string[] {
  const said = new Map<string, Set<string>>();
  for (const run of runs)
    for (const line of run.notices ?? []) said.set(line, (said.get(line) ?? new Set()).add(run.contender));
  return [...said].map(([line, names]) => `said by ${[...names].join(', ')}: ${line}`);
}

/** The section of one task on a terminal. */
export function taskText({ program, runs, unavailable }: TaskRuns, contenders: readonly Contender[]): string {
  const head = `${program.name}: ${program.about}${program.unit ? `; ${program.unit}` : ''}`;
  if (unavailable !== undefined) return `${head}\nNOT RUN: ${unavailable}`;
  const parts = [
    everyone(runs, contenders),
    comparable(runs, contenders) ? comparison(cells(runs, contenders)) : [],
    changed(runs, contenders),
    [...problems(runs), ...notices(runs)],
  ].filter((lines) => lines.length > 0);
  return [head, ...parts.map((lines) => lines.map((line) => `  ${line}`).join('\n'))].join('\n\n');
}

/** How many runs of cgfac() with one thing changed diverged, and which. */
function divergences(tasks: readonly TaskRuns[], contenders: readonly Contender[]): string | undefined {
  const ours = contenders.filter(({ family }) => family === 'cgfac' || family === 'variation').map(({ name }) => name);
  const runs = tasks.flatMap((task) => task.runs).filter(({ contender }) => ours.includes(contender));
  if (runs.length === 0) return undefined;
  const bad = runs.filter(({ diverged }) => diverged !== undefined);
  const count = `${bad.length} of ${runs.length} runs of cgfac() diverged`;
  const names = bad.map(({ task, contender, seed }) => `${task} ${contender} seed ${seed}`);
  return bad.length === 0 ? count : `${count}: ${names.join(', ')}`;
}

/** The closing lines: cells won and lost, runs that diverged or failed, tasks that were not run. */
export function closing(tasks: readonly TaskRuns[], contenders: readonly Contender[]): string[] {
  const all = tasks.flatMap(({ runs }) => (comparable(runs, contenders) ? cells(runs, contenders) : []));
  const failed = tasks.flatMap(({ runs }) => runs).filter((run) => run.failed !== undefined);
  const missing = tasks.filter(({ unavailable }) => unavailable !== undefined);
  const diverged = divergences(tasks, contenders);
  return [
    ...(all.length > 0 ? [summary(all)] : []),
    ...(diverged === undefined ? [] : [diverged]),
    ...(failed.length > 0
      ? [`failed: ${failed.map(({ task, contender, seed }) => `${task} ${contender} seed ${seed}`).join(', ')}`]
      : []),
    ...(missing.length > 0 ? [`not run: ${missing.map(({ program }) => program.name).join(', ')}`] : []),
  ];
}

/** A table of one loss for a document: a line for each task, cgfac() / best Adam at each step, a star where it lost. */
function documentTable(tasks: readonly TaskRuns[], contenders: readonly Contender[], part: Part): string[] {
  const known = tasks.map(({ program, runs }) => ({ program, own: ofPart(cells(runs, contenders), part) }));
  const steps = [...new Set(known.flatMap(({ own }) => own.map(({ step }) => step)))].sort((a, b) => a - b);
  const minus = (text: string) => text.replaceAll('-', '−');
  const lines = known.map(({ program, own }) => [
    program.name,
    ...steps.map((step) => {
      const cell = own.find((each) => each.step === step);
      return cell ? `${minus(shown(cell.own))} / ${minus(shown(cell.adam))}${cell.won ? '' : ' *'}` : '';
    }),
  ]);
  return markdownTable([['task', ...steps.map((step) => `step ${step}`)], ...lines]);
}

function documentChanges(tasks: readonly TaskRuns[], contenders: readonly Contender[]): string[] {
  const all = tasks.map(({ program, runs }) => ({ program, own: changes(runs, contenders) }));
  const names = contenders.filter(({ family }) => family === 'variation').map(({ name }) => name);
  const used = names.filter((name) => all.some(({ own }) => own.some(({ contender }) => contender === name)));
  if (used.length === 0) return [];
  const lines = all.map(({ program, own }) => [
    program.name,
    ...used.map((name) => {
      const change = own.find(({ contender }) => contender === name);
      if (!change) return '';
      return change.diverged.length > 0 ? 'diverged' : change.heldOut.toFixed(2);
    }),
  ]);
  return markdownTable([['task', ...used.map((name) => `\`${name}\``)], ...lines]);
}

/**
 * Tables for a document: training losses, losses held out, and, where something was changed, the held-out loss as a
 * multiple of that without the change.
 */
export function markdownReport(tasks: readonly TaskRuns[], contenders: readonly Contender[]): string {
  const compared = tasks.filter(({ runs }) => comparable(runs, contenders));
  const parts: readonly Part[] = ['train', 'heldOut'];
  const tables = parts.flatMap((part) => [
    `Loss, ${titles[part]}, \`cgfac()\` / the best Adam; an asterisk where \`cgfac()\` is behind:`,
    documentTable(compared, contenders, part).join('\n'),
  ]);
  const changed = documentChanges(tasks, contenders);
  const change = ['Held-out loss after the last step, as a multiple of that without the change:', changed.join('\n')];
  return [
    ...(compared.length === 0 ? [] : tables),
    ...(changed.length === 0 ? [] : change),
    closing(tasks, contenders).join('\n\n'),
  ].join('\n\n');
}
