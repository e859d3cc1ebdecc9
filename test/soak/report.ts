/** What a run is told as. */
import { BOUND, type MemoryVerdict } from './memory';
import type { Heap } from './protocol';
import type { RunResult } from './run';
import { outcomes, total } from './tally';

/** Calls that ended as they should, and what did not: calls, workers, memory. */
export function closing(
  { tally }: RunResult,
  { flat }: MemoryVerdict,
): { readonly passed: number; readonly failed: number } {
  const { right, aborted, refused, wrong, unexpected } = total(tally);
  return {
    passed: right + aborted + refused + (flat === true ? 1 : 0),
    failed: wrong + unexpected + (flat === false ? 1 : 0),
  };
}

const megabytes = (bytes: number) => (bytes / 1e6).toFixed(1);

function counts({ tally }: RunResult): string[] {
  const lines = Object.entries(tally)
    .sort(([a], [b]) => a.localeCompare(b))
    .map(([name, of]) => [name, ...outcomes.map((outcome) => String(of[outcome]))]);
  const sum = total(tally);
  const all = [['call', ...outcomes], ...lines, ['all', ...outcomes.map((outcome) => String(sum[outcome]))]];
  const widths = all[0]?.map((_, column) => Math.max(...all.map((line) => line[column]?.length ?? 0))) ?? [];
  return all.map((line) =>
    line
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0)))
      .join('  '),
  );
}

const heapWords = ({ used, external, arrayBuffers }: Heap) =>
  `heap ${megabytes(used)}, external ${megabytes(external)}, arrays ${megabytes(arrayBuffers)}`;

function memoryLines({ memory }: RunResult, { samples, growth, spread, flat }: MemoryVerdict): string[] {
  const curve = memory.map(
    ({ seconds, resident, worker, main }) =>
      `${seconds.toFixed(0).padStart(6)} s  ${megabytes(resident).padStart(7)} MB resident` +
      `  worker: ${heapWords(worker)}  main: ${heapWords(main)}`,
  );
  const verdict =
    flat === undefined
      ? `memory: not judged, ${samples} rests after the warm-up are too few`
      : `memory: ${flat ? 'flat' : 'NOT FLAT'}, ${growth >= 0 ? '+' : ''}${megabytes(growth)} MB after the warm-up ` +
        `(bound ± ${megabytes(BOUND)}), ± ${megabytes(spread)} around the median`;
  return ['', ...curve, verdict];
}

/** Counts, faults and memory as lines for people. */
export function reportOf(result: RunResult, memory: MemoryVerdict): string {
  const { seconds, terminated, longestTerminate, faults } = result;
  const faultLines = faults.map(({ seed, what }) => `case ${seed}: ${what}`);
  const ended =
    `${seconds.toFixed(0)} s; ${terminated} workers terminated at work, ` +
    `the longest terminate() ${longestTerminate.toFixed(0)} ms`;
  return ['', ...counts(result), ...memoryLines(result, memory), '', ended, ...faultLines].join('\n');
}
