// The floor: the two products that no preconditioner avoids, in an addon of its own beside the one that is measured.
import { join } from 'node:path';
import { info } from 'cgfac';
import type { BenchData } from './data';
import type { BenchLayer } from './layers';
import { at, median, type Turn, timer } from './measure';

/** build/bench/cgfac_bench.node; its pool threads and its OpenBLAS are not those of the measured addon. */
interface BenchAddon {
  /** The kernel that its OpenBLAS chose. */
  readonly blasCore: string;
  setThreads(threads: number): void;
  /** c ← a·b over so many blocks of its columns, or of its rows where these are more; everything row-major. */
  product(
    a: Float32Array,
    b: Float32Array,
    c: Float32Array,
    rows: number,
    inner: number,
    columns: number,
    blocks: number,
  ): void;
  /** h ← g·v and out ← gᵀ·a by two products alone, over column blocks; everything row-major. */
  floorProducts(
    g: Float32Array,
    v: Float32Array,
    a: Float32Array,
    h: Float32Array,
    out: Float32Array,
    rows: number,
    outFeatures: number,
    inFeatures: number,
    blocks: number,
  ): void;
}

let loaded: BenchAddon | undefined;

/** The addon of benchmarks, loaded when first needed; it must have the kernel of the one it is compared with. */
export function benchAddon(): BenchAddon {
  if (loaded) return loaded;
  const addon = require(join(__dirname, '../../../build/bench/cgfac_bench.node')) as BenchAddon;
  const { core } = info().blas;
  if (addon.blasCore !== core) {
    throw new Error(`Expected OpenBLAS's kernel ${core} for the floor but received ${addon.blasCore}`);
  }
  loaded = addon;
  return addon;
}

const turns = 7;

/** The floor with the column split that is fastest here, of those that the pool threads can use. */
export function bestFloor({ rows, outFeatures, inFeatures }: BenchLayer, data: BenchData): Turn {
  const { threads } = info();
  const addon = benchAddon();
  addon.setThreads(threads);
  const half = new Float32Array(rows * inFeatures);
  const run = (blocks: number) => (turn: number) =>
    addon.floorProducts(
      data.outputGrads,
      at(data.v, turn),
      data.inputs,
      half,
      at(data.out, turn + 1),
      rows,
      outFeatures,
      inFeatures,
      blocks,
    );
  const splits = [...new Set([1, threads, 2 * threads, 4 * threads])].filter((blocks) => blocks <= inFeatures);
  const timed = splits.map((blocks) => ({ call: run(blocks), times: [] as number[] }));
  const timers = timed.map(({ call }) => timer(call));
  for (let turn = 0; turn < turns; turn++) {
    timers.forEach((own, which) => {
      timed[which]?.times.push(own.time(turn));
    });
  }
  return timed.reduce((best, next) => (median(next.times) < median(best.times) ? next : best)).call;
}
