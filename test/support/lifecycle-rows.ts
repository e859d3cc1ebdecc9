/**
 * The lifecycle table: what may happen to memory that a call borrows, what a system may refuse, and how calls may be
 * ended. Each row is a program of test/native/programs, run in processes of its own.
 */
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { type Start, sanitized } from './children';

/** A row of the table. */
export interface LifecycleRow {
  readonly kind: 'memory' | 'system' | 'cancellation';
  /** What happens. */
  readonly what: string;
  readonly program: string;
  /** What the program is started with; `runs`: how often a row is run. */
  readonly start: (time: number, runs: number) => Start;
  /** Whether it is run in a process each time, in one process that does it so often itself, or a few times. */
  readonly runs: 'processes' | 'inside' | 1;
  /** What the program prints, with the exit code 0. */
  readonly prints: (runs: number) => string | RegExp;
  /** Where it cannot be run, because somebody else is needed. */
  readonly skipped?: boolean;
}

/** The calls of entries.cjs, and how many arrays each of them is given. */
export const ownedArrays = {
  apply: 4,
  solve: 5,
  precondition: 2,
  'precondition in place': 1,
  naturalGradient: 4,
  'naturalGradient that updates': 4,
  preconditionAll: 2,
  step: 2,
  naturalGradients: 1,
  'naturalGradients of gradients': 2,
  'a step after loadStateDict': 6,
  'a step after stateDict': 6,
} as const;

/** What the program prints of each call. */
const lines = (count: (arrays: number, title: string) => number) => (runs: number) =>
  Object.entries(ownedArrays)
    .map(([title, arrays]) => `${title}: ${count(arrays, title)} × ${runs}`)
    .join('\n');

const memoryRow = (event: string, what: string, count: (arrays: number, title: string) => number): LifecycleRow => ({
  kind: 'memory',
  what,
  program: 'owned-arrays.cjs',
  start: (_, runs) => ({ args: [event, String(runs)], flags: ['--expose-gc'] }),
  runs: 'inside',
  prints: lines(count),
});

const memory: readonly LifecycleRow[] = [
  memoryRow('mutated', 'each array of each call is written to while it is pending', (arrays) => arrays),
  memoryRow('transferred', 'each array is transferred to a new owner, whose numbers stay', (arrays) => arrays),
  memoryRow('detached', 'each array is detached and freed, and its memory taken by others', (arrays) => arrays),
  memoryRow('resized', 'each array can change its size, and does: refused', (arrays, title) =>
    title.startsWith('a step') ? 0 : 2 * arrays,
  ),
  memoryRow('dropped', 'all objects and arrays of each call are dropped, and collected', () => 1),
];

const flags = new Set(/^flags\s*:(.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1]?.trim().split(' ') ?? []);
/** A kernel whose instructions no processor has together with those of this one. */
const foreign = flags.has('fma4') ? 'SkylakeX' : 'Excavator';
const allowed = availableParallelism();
const isRoot = process.getuid?.() === 0;

const threadRow = (more: number, what: string, threads: number, skipped = false): LifecycleRow => ({
  kind: 'system',
  what,
  program: 'refused-threads.cjs',
  start: () => ({ args: [String(more)] }),
  runs: 'processes',
  prints: () => `${threads} threads, ${6 - more} refused, same results\n6 threads, 0 refused`,
  skipped,
});

/** AddressSanitizer takes terabytes of address space, which no limit of it goes with. */
const memoryLimit = (megabytes: number, what: string, prints: string, env = {}): LifecycleRow => ({
  kind: 'system',
  what,
  program: 'refused-memory.cjs',
  start: () => ({ args: [String(megabytes)], env }),
  runs: 'processes',
  prints: () => prints,
  skipped: sanitized,
});

const kernelRow = (kernel: string, what: string, prints: RegExp, skipped = false): LifecycleRow => ({
  kind: 'system',
  what,
  program: 'blas-kernel.cjs',
  start: () => ({ env: { OPENBLAS_CORETYPE: kernel } }),
  runs: 'processes',
  prints: () => prints,
  skipped,
});

const settingRow = (what: string, start: Start, threads: number, skipped = false): LifecycleRow => ({
  kind: 'system',
  what,
  program: 'thread-setting.cjs',
  start: () => ({ env: { CGFAC_NUM_THREADS: undefined }, ...start }),
  runs: 'processes',
  prints: () => String(threads),
  skipped,
});

const setting = (value: string, args: readonly string[] = []) => ({ env: { CGFAC_NUM_THREADS: value }, args });
const quota = (version: 1 | 2) => ({ under: ['unshare', '--mount', 'sh', 'quota.sh', String(version)] });

const system: readonly LifecycleRow[] = [
  threadRow(0, 'no thread more may be started: the calling thread does the work', 1),
  // the limit counts all threads of a user: that of a user without other processes alone is known
  threadRow(2, 'two threads of six may be started', 2, !isRoot),
  memoryLimit(14, 'address space of 14 MB, too little for the addon', 'ERR_CGFAC_NATIVE_LOAD'),
  memoryLimit(60, 'address space of 60 MB, too little for a product', 'ERR_CGFAC_OUT_OF_MEMORY'),
  memoryLimit(1000, 'address space of 1000 MB, too little for a product on each thread', 'solved max-iterations', {
    CGFAC_NUM_THREADS: '4',
  }),
  kernelRow(foreign, 'a kernel with instructions that no such processor has', /^ERR_CGFAC_BLAS_MISMATCH /),
  kernelRow('Opteron', 'a kernel for processors of 2003', /^ERR_CGFAC_BLAS_MISMATCH |^Opteron Opteron$/),
  kernelRow('Nehalem', 'a kernel for processors before AVX', /^Nehalem Nehalem$/, !flags.has('sse4_2')),
  settingRow('CGFAC_NUM_THREADS is 3', setting('3'), 3),
  settingRow('CGFAC_NUM_THREADS is 1025, and told once', setting('1025', ['worker']), allowed),
  settingRow('CGFAC_NUM_THREADS is no number', setting('two'), allowed),
  settingRow('CGFAC_NUM_THREADS is unset', {}, allowed),
  settingRow('the affinity mask has one processor', { args: ['confined'] }, 1),
  settingRow('a quota of one and a half processors, control groups of version 2', quota(2), 1, !isRoot),
  settingRow('a quota of one and a half processors, control groups of version 1', quota(1), 1, !isRoot),
];

/** The methods of long-solve.cjs. */
export const cancelled = [
  'exact',
  'exact, dense',
  'exact, factored',
  'exact, factored, dense',
  'exact, factored, panel',
  'kfac',
  'kfac, factored',
  'sample',
  'cg, gram',
  'cg, weight',
];

const pairs = cancelled.flatMap((name, i) => (i % 2 === 0 ? [[name, cancelled[i + 1] ?? name]] : []));

const exits =
  (n: number, milliseconds: (time: number) => number): LifecycleRow['start'] =>
  (time) => {
    const names = cancelled.map((_, i) => cancelled[(i + time) % cancelled.length] ?? '');
    // all of them at work at once, each on a thread
    return {
      args: [String(n), String(milliseconds(time)), ...names],
      env: { CGFAC_NUM_THREADS: String(names.length) },
    };
  };

const cancellation: readonly LifecycleRow[] = [
  {
    kind: 'cancellation',
    what: 'a call of each method is aborted, and made again with the same bits',
    program: 'abort-each.cjs',
    start: (_, runs) => ({ args: [String(runs)] }),
    runs: 'inside',
    prints: (runs) => cancelled.map((name) => `${name}: ${runs} times`).join('\n'),
  },
  {
    kind: 'cancellation',
    what: 'a worker is terminated with every call at work',
    program: 'terminate-each.cjs',
    start: (_, runs) => ({ args: [String(runs)] }),
    runs: 'inside',
    prints: () => 'alive and right',
  },
  {
    kind: 'cancellation',
    what: 'a worker is terminated with every method at work',
    program: 'terminate-methods.cjs',
    start: (_, runs) => ({ args: [String(runs)] }),
    runs: 'inside',
    prints: () => 'alive and right',
  },
  {
    kind: 'cancellation',
    what: 'the process exits with every method queued',
    program: 'exit-methods.cjs',
    start: exits(150, () => 0),
    runs: 'processes',
    prints: () => /^left \d+$/,
  },
  {
    kind: 'cancellation',
    what: 'the process exits with every method at work',
    program: 'exit-methods.cjs',
    start: exits(150, (time) => 1 + 2 * (time % 10)),
    runs: 'processes',
    prints: () => /^left \d+$/,
  },
  {
    kind: 'cancellation',
    what: 'an abort of each method at N = 2000 is followed within 300 ms, early and late in it',
    program: 'abort-latency.cjs',
    start: () => ({}),
    runs: 1,
    prints: () => cancelled.map((name) => `${name}: in time`).join('\n'),
    skipped: sanitized,
  },
  {
    kind: 'cancellation',
    what: 'terminate() at N = 2000 within 300 ms, with each method at work',
    program: 'terminate-latency.cjs',
    start: () => ({}),
    runs: 1,
    prints: () =>
      [...pairs.map((names) => `${names.join(' and ')}: in time`), 'exact, at once: in time', 'alive 2500'].join('\n'),
    skipped: sanitized,
  },
];

/** Two methods at a time, that processes exit with at N = 2000. */
export const exitPairs = pairs;

/** All rows but those of exits at N = 2000, whose time is taken from outside. */
export const lifecycleRows: readonly LifecycleRow[] = [...memory, ...system, ...cancellation];

/** How often a row is run by `npm test`, in words. */
const timesOf = ({ runs }: LifecycleRow) =>
  ({ processes: '20 processes', inside: '20 times in a process', 1: 'once, all methods' })[runs];

/** The table as docs/reliability.md has it. */
export function lifecycleTable(): string {
  const rows = lifecycleRows.map((row) => `| ${row.kind} | ${row.what} | ${timesOf(row)} |`);
  const exit = 'the process exits at N = 2000 within 300 ms, with each method at work';
  return [
    '| kind | what happens | runs |',
    '|---|---|---|',
    ...rows,
    `| cancellation | ${exit} | once, all methods |`,
  ].join('\n');
}
