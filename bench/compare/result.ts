/** What a comparison found, as its JSON file has it: everything that the report shows. */
import type { Machine } from '../harness/rows';
import type { Figure } from '../suites/training/runs';
import type { Entry } from './journal';
import type { LayerRow } from './layers';
import { REFERENCE } from './methods';
import type { Played, TaskEntries, Tried } from './session';

/** The mean, the least and the most of the seeds; null where one of them is not a number. */
export interface Spread {
  readonly mean: Figure;
  readonly least: Figure;
  readonly most: Figure;
}

/** A method after so many steps. */
export interface Point {
  readonly step: number;
  /** Seconds of training until then, evaluations apart. */
  readonly seconds: Spread;
  readonly train: Spread;
  readonly heldOut: Spread;
}

/**
 * How a method stands beside the reference: `'won'` or `'lost'` where it is so with every seed, `'even'` where seeds
 * differ.
 */
export type Mark = 'won' | 'lost' | 'even' | 'reference' | 'none';

/** A setting that was tried, from the first seed. */
export interface GridPoint {
  readonly setting: string;
  readonly train: Figure;
  readonly diverged?: string;
}

/** A method on a task, by its best setting. */
export interface MethodResult {
  readonly name: string;
  readonly title: string;
  readonly about: string;
  readonly own: boolean;
  readonly setting: string;
  readonly grid: readonly GridPoint[];
  /** Whether the best setting is the first or the last of several, so that a wider grid may have a better one. */
  readonly edge: boolean;
  readonly points: readonly Point[];
  /** After the last step. */
  readonly train: Spread;
  readonly heldOut: Spread;
  /** Training loss at the time when the fastest has ended. */
  readonly atEqualTime: Figure;
  readonly marks: Readonly<Record<'train' | 'heldOut' | 'atEqualTime', Mark>>;
  /** The first told step, and its seconds, with the reference's last training loss or less. */
  readonly reaches?: { readonly step: number; readonly seconds: Figure };
  /** Median milliseconds of a step, the mean of the seeds. */
  readonly ms: number;
  /** Bytes that it keeps between steps, averages of the weights apart. */
  readonly bytes: number;
  /** The seeds that diverged, and why. */
  readonly diverged: readonly string[];
  readonly recipe?: string;
  /** The layers in the last step, from the first seed. */
  readonly layers?: readonly LayerRow[];
  /** Pictures that came out, one byte a pixel, as base64. */
  readonly outputs?: string;
}

/** What became of a task. */
export interface TaskResult {
  readonly name: string;
  readonly title: string;
  readonly program: string;
  readonly about: string;
  readonly unit: string;
  readonly steps: number;
  readonly weights: number;
  /** The seconds of `atEqualTime`. */
  readonly equalSeconds: Figure;
  readonly methods: readonly MethodResult[];
  /** Pictures that went in. */
  readonly inputs?: string;
  readonly unavailable?: string;
}

/** What a whole comparison found. */
export interface Comparison {
  readonly made: string;
  readonly quick: boolean;
  readonly machine: Machine;
  readonly threads: number;
  readonly versions: Readonly<Record<'cgfac' | 'tfjs', string>>;
  readonly build: string;
  readonly seeds: readonly number[];
  readonly reference: string;
  readonly tasks: readonly TaskResult[];
}

/** The spread of some numbers; null where one is missing. */
export function spread(values: readonly Figure[]): Spread {
  const numbers = values.filter((value) => value !== null);
  if (numbers.length === 0 || numbers.length < values.length) return { mean: null, least: null, most: null };
  const mean = numbers.reduce((sum, value) => sum + value, 0) / numbers.length;
  return { mean, least: Math.min(...numbers), most: Math.max(...numbers) };
}

/** Held out: with averages of the weights; of methods that keep none, or with the weights themselves if better. */
function heldOut(entry: Entry, place: number, own: boolean): Figure {
  const told = entry.run.told[place];
  const { averaged = null, heldOut: raw = null } = told ?? {};
  if (own || raw === null) return averaged;
  return averaged === null ? raw : Math.min(averaged, raw);
}

const trainOf = (entry: Entry, place: number): Figure => entry.run.told[place]?.train ?? null;

/** The training loss of the last told step until a time. */
function atTime(entry: Entry, seconds: number): Figure {
  const reached = entry.seconds.filter((each) => each !== null && each <= seconds).length;
  return reached === 0 ? entry.run.start : trainOf(entry, reached - 1);
}

function mark(own: readonly Figure[], reference: readonly Figure[]): Mark {
  const pairs = own.map((value, place) => [value, reference[place] ?? null] as const);
  const better = ([value, other]: (typeof pairs)[number]) => value !== null && (other === null || value < other);
  const worse = ([value, other]: (typeof pairs)[number]) => other !== null && (value === null || value > other);
  if (pairs.every(better)) return 'won';
  return pairs.every(worse) ? 'lost' : 'even';
}

/** Figures of each seed, which marks are made of. */
interface Ends {
  readonly train: readonly Figure[];
  readonly heldOut: readonly Figure[];
  readonly atEqualTime: readonly Figure[];
}

function ends({ method, chosen }: Played, last: number, equal: number | null): Ends {
  return {
    train: chosen.entries.map((entry) => trainOf(entry, last)),
    heldOut: chosen.entries.map((entry) => heldOut(entry, last, method.own)),
    atEqualTime: chosen.entries.map((entry) => (equal === null ? null : atTime(entry, equal))),
  };
}

function gridPoint({ setting, entries: [entry] }: Tried): GridPoint {
  const diverged = entry?.run.diverged;
  return {
    setting: setting.words,
    train: entry ? trainOf(entry, entry.run.told.length - 1) : null,
    ...(diverged === undefined ? {} : { diverged }),
  };
}

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

function methodResult(
  played: Played,
  told: readonly number[],
  equal: number | null,
  reference: Ends | undefined,
): MethodResult {
  const { method, grid, chosen } = played;
  const { entries, setting } = chosen;
  const own = ends(played, told.length - 1, equal);
  const points = told.map((step, place) => ({
    step,
    seconds: spread(entries.map((entry) => entry.seconds[place] ?? null)),
    train: spread(entries.map((entry) => trainOf(entry, place))),
    heldOut: spread(entries.map((entry) => heldOut(entry, place, method.own))),
  }));
  const place = grid.findIndex((tried) => tried.setting === setting);
  const goal = reference ? spread(reference.train).mean : null;
  const reached = goal === null ? undefined : points.find(({ train }) => train.mean !== null && train.mean <= goal);
  const marked = (part: keyof Ends): Mark => {
    if (method.name === REFERENCE) return 'reference';
    return reference ? mark(own[part], reference[part]) : 'none';
  };
  const [first] = entries;
  return {
    name: method.name,
    title: method.title,
    about: method.about,
    own: method.own,
    setting: setting.words,
    grid: grid.map(gridPoint),
    edge: grid.length > 1 && (place === 0 || place === grid.length - 1),
    points,
    train: spread(own.train),
    heldOut: spread(own.heldOut),
    atEqualTime: spread(own.atEqualTime).mean,
    marks: { train: marked('train'), heldOut: marked('heldOut'), atEqualTime: marked('atEqualTime') },
    ...(reached ? { reaches: { step: reached.step, seconds: reached.seconds.mean } } : {}),
    ms: mean(entries.map(({ run }) => run.ms)),
    bytes: mean(entries.map(({ bytes }) => bytes)),
    diverged: entries.flatMap(({ run }) => (run.diverged === undefined ? [] : [`seed ${run.seed}: ${run.diverged}`])),
    ...(first?.recipe === undefined ? {} : { recipe: first.recipe }),
    ...(first?.layers === undefined ? {} : { layers: first.layers }),
    ...(first?.pictures === undefined ? {} : { outputs: first.pictures.outputs }),
  };
}

/** A task's result, from its runs alone. */
export function taskResult({ task, course, played, unavailable }: TaskEntries): TaskResult {
  const { program, told } = course;
  const totals = played.flatMap(({ chosen }) => chosen.entries).flatMap(({ seconds }) => seconds.at(-1) ?? []);
  const equal = totals.length === 0 ? null : Math.min(...totals);
  const reference = played.find(({ method }) => method.name === REFERENCE);
  const marks = reference && ends(reference, told.length - 1, equal);
  const [first] = played[0]?.chosen.entries ?? [];
  return {
    name: task.name,
    title: task.title,
    program: program.name,
    about: program.about,
    unit: program.unit ?? 'loss',
    steps: told.at(-1) ?? 0,
    weights: first?.weights ?? 0,
    equalSeconds: equal,
    methods: played.map((each) => methodResult(each, told, equal, marks)),
    ...(first?.pictures === undefined ? {} : { inputs: first.pictures.inputs }),
    ...(unavailable === undefined ? {} : { unavailable }),
  };
}
