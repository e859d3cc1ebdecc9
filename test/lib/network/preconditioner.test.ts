// The two forms of a step and the two forms of a call, with every method.

import { info, type StepOptions, setThreads, type WeightVector } from 'cgfac';
import { relativeError } from '../../support/golden-case';
import {
  gradientsOf,
  layers,
  methodNames,
  network,
  numbersOf,
  record,
  rowsOf,
  type TestRows,
} from '../../support/networks';
import { fixed, iteratedMethods, type Network, naturalSync, solved } from '../../support/steps';

// The layers are 5×7 to 3×9 with 12 rows; every element is of order 1. A direction in float32 is then right to some
// 2⁻²⁴·N times the condition of the damped factors, which is at most 1 + d/ρ ≈ 10 at ρ = 1: 6e-8 · 12 · 10 ≈ 7e-6. Both
// ways of a comparison round.
const rounding = 2e-5;
function steppedSync(
  preconditioner: Network,
  gradients: Record<string, WeightVector>,
  options: StepOptions = {},
): Float64Array {
  preconditioner.stepSync(gradients, options);
  return numbersOf(gradients);
}
/** The rows of two batches as one. */
function joined(a: ReadonlyMap<string, TestRows>, b: ReadonlyMap<string, TestRows>): Map<string, TestRows> {
  const both = (x: Float32Array, y: Float32Array) => Float32Array.from([...x, ...y]);
  return new Map(
    [...a].map(([name, first]) => {
      const second = b.get(name) ?? first;
      const rows = {
        inputs: both(first.inputs, second.inputs),
        lossGrads: both(first.lossGrads, second.lossGrads),
        sampled: both(first.sampled, second.sampled),
        batch: first.batch + second.batch,
        sampledBatch: first.sampledBatch + second.sampledBatch,
      };
      return [name, rows];
    }),
  );
}

describe.each(methodNames)('%s', (name) => {
  const options = { ...fixed, ...iteratedMethods[name], factorUpdateSteps: 1 };
  const tolerance = name.startsWith('factored') ? rounding : solved;

  test('step() after an explicit gradient is naturalGradients(), in both forms of a call', async () => {
    const form = async (take: (preconditioner: Network, rows: Map<string, TestRows>) => Promise<Float64Array>) => {
      const preconditioner = network(options);
      const steps: Float64Array[] = [];
      for (const step of [1, 2, 3]) {
        const rows = rowsOf(step);
        record(preconditioner, rows);
        steps.push(await take(preconditioner, rows));
      }
      return steps;
    };
    const natural = await form(async (preconditioner) => naturalSync(preconditioner));
    const naturalLater = await form(async (preconditioner) =>
      numbersOf((await preconditioner.naturalGradients()).updates),
    );
    const stepped = await form(async (preconditioner, rows) => steppedSync(preconditioner, gradientsOf(rows)));
    const steppedLater = await form(async (preconditioner, rows) => {
      const gradients = gradientsOf(rows);
      await preconditioner.step(gradients);
      return numbersOf(gradients);
    });
    expect(naturalLater).toEqual(natural);
    expect(steppedLater).toEqual(stepped);
    natural.forEach((direction, step) => {
      expect(relativeError(stepped[step] ?? [], direction)).toBeLessThan(tolerance);
    });
  });

  test('the summaries of both forms agree', () => {
    const [natural, stepped] = [network(options), network(options)];
    const rows = rowsOf(1);
    for (const each of [natural, stepped]) record(each, rows);
    const { summary } = natural.naturalGradientsSync();
    const other = stepped.stepSync(gradientsOf(rows));
    expect(Math.abs(summary.innerProduct / other.innerProduct - 1)).toBeLessThan(tolerance);
    expect(summary.layers.map(({ name: layer }) => layer)).toEqual(layers.map(({ name: layer }) => layer));
    expect(summary.innerProduct).toBeCloseTo(
      summary.layers.reduce((sum, layer) => sum + layer.innerProduct, 0),
      10,
    );
    for (const layer of [...summary.layers, ...other.layers]) {
      expect(layer.innerProduct).toBeGreaterThan(0);
      expect(layer).toMatchObject({
        inputRows: 12,
        outputRows: 12,
        bytes: expect.any(Number),
        microseconds: expect.any(Number),
      });
    }
  });

  test('two half batches are one batch: with the reduction of each, or divided by accumulationSteps', () => {
    const halves = [rowsOf(1), rowsOf(2)] as const;
    const whole = network(options);
    record(whole, joined(...halves));
    const expected = naturalSync(whole);
    const scaled = (array: Float32Array, factor: number) => array.map((value) => value * factor);
    for (const [given, factor] of [
      [{}, 1],
      [{ lossReduction: 'mean' }, 1 / 12],
      [{ accumulationSteps: 2 }, 1 / 2],
      [{ lossReduction: 'mean', accumulationSteps: 2 }, 1 / 24],
    ] as const) {
      const parts = network({ ...options, ...given });
      for (const half of halves) {
        const rows = [...half].map(
          ([layer, rows]) =>
            [
              layer,
              { ...rows, lossGrads: scaled(rows.lossGrads, factor), sampled: scaled(rows.sampled, factor) },
            ] as const,
        );
        record(parts, new Map(rows));
      }
      // the factors 1/12 and 1/24 round each gradient once more
      expect(relativeError(naturalSync(parts), expected)).toBeLessThan(tolerance);
    }
  });

  test('the same bits with one pool thread and with two', () => {
    const threads = info().threads;
    const wide = [{ name: 'wide', inFeatures: 300, outFeatures: 260, bias: true, kernelLayout: 'in-out' as const }];
    try {
      const outcomes = [1, 2].map((count) => {
        setThreads(count);
        const preconditioner = network(options, undefined, wide);
        return [1, 2].map((step) => {
          record(preconditioner, rowsOf(step, 96, 48, wide));
          return naturalSync(preconditioner).slice();
        });
      });
      expect(outcomes[1]).toEqual(outcomes[0]);
    } finally {
      setThreads(threads);
    }
  });

  test('fewer sampled rows than the batch', () => {
    const preconditioner = network(options);
    for (const [layer, { inputs, lossGrads, sampled, batch }] of rowsOf(1, 12, 4)) {
      preconditioner.record(layer, { inputs, lossGrads, batch });
      preconditioner.recordFisher(layer, { outputGrads: sampled, batch: 4 });
    }
    const { summary } = preconditioner.naturalGradientsSync();
    expect(summary.layers.map(({ inputRows, outputRows }) => [inputRows, outputRows])).toEqual(
      layers.map(() => [12, 4]),
    );
    // the rows of the factors, where those are older
    const gradients = gradientsOf(rowsOf(2));
    expect(preconditioner.stepSync(gradients).layers.map(({ outputRows }) => outputRows)).toEqual(layers.map(() => 4));
  });
});
