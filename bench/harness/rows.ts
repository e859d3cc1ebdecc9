import { cpus, loadavg } from 'node:os';
import { info } from 'cgfac';

/** What was measured, one row of a result file. */
export interface BenchRow {
  readonly suite: string;
  /** m×n. */
  readonly layer: string;
  readonly batch: number;
  readonly method: string;
  readonly space?: 'gram' | 'weight';
  readonly iterations?: number;
  /** Pool threads. */
  readonly threads: number;
  /** Milliseconds of the floor, or of what the row is a ratio to. */
  readonly floorMs?: number;
  readonly ms?: number;
  /** Median of the paired ratios to the floor. */
  readonly ratio?: number;
  /** The least of the paired ratios. */
  readonly ratioMin?: number;
  /** Bytes that the method keeps between steps. */
  readonly bytes?: number;
  /** What else the suite has to say, in its own unit. */
  readonly figures?: Readonly<Record<string, number | string>>;
}

/** The machine that was measured on, as a result file has it. */
export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly node: string;
  readonly blasCore: string;
  readonly blasVersion: string;
}

/** Describes the machine that this process runs on. */
export function machine(): Machine {
  const { blas } = info();
  const processors = cpus();
  return {
    cpu: processors[0]?.model.trim() ?? 'unknown',
    cores: processors.length,
    node: process.version,
    blasCore: blas.core,
    blasVersion: blas.version,
  };
}

/** The machine, the kernel, the threads, and whether something else ran just now, in a line. */
export function heading(description: Machine): string {
  const { blas, threads } = info();
  return (
    `${description.cpu}, ${description.cores} cores, Node ${description.node}; ` +
    `OpenBLAS ${description.blasVersion}, kernel ${description.blasCore}, ` +
    `BLAS threads: ${blas.threads}, pool threads: ${threads}; ` +
    `load before: ${(loadavg()[0] ?? 0).toFixed(1)}`
  );
}

function number(value: number | undefined): string {
  if (value === undefined) return '';
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}

/** The rows as a table for people. */
export function table(rows: readonly BenchRow[]): string {
  const lines = rows.map((row) => [
    row.layer,
    String(row.batch),
    row.method,
    row.space ?? '',
    row.iterations === undefined ? '' : String(row.iterations),
    number(row.floorMs),
    number(row.ms),
    number(row.ratio),
    number(row.ratioMin),
    row.bytes === undefined ? '' : `${(row.bytes / 2 ** 20).toFixed(2)}`,
    Object.entries(row.figures ?? {})
      .map(([name, value]) => `${name} ${typeof value === 'number' ? number(value) : value}`)
      .join('  '),
  ]);
  const head = ['layer', 'batch', 'method', 'space', 'its', 'floor ms', 'ms', 'ratio', 'min', 'MiB kept', ''];
  const widths = head.map((title, column) => Math.max(title.length, ...lines.map((line) => line[column]?.length ?? 0)));
  return [head, ...lines]
    .map((line) =>
      line
        .map((cell, column) => (column < 4 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
