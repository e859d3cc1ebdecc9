import { setThreads } from 'cgfac';
import { randomNumbers } from '../../support/layers';
import { network, record, rowsOf, vectors } from '../../support/networks';
import { plain } from '../../support/steps';

describe('memoryUsage', () => {
  const shape = { name: 'wide', inFeatures: 200, outFeatures: 160, bias: true, kernelLayout: 'out-in' as const };
  const rows = 64;
  test.each([0, 0.5])(
    'factored damping, no history, momentum %p: 2 × weights + 6 × rows + 16 N² numbers at most',
    (momentum) => {
      setThreads(1);
      const weights = vectors((length) => randomNumbers(length, length), [shape]);
      const preconditioner = network({ ...plain, momentum, window: 1 }, weights, [shape]);
      for (const step of [0, 1, 2]) {
        record(preconditioner, rowsOf(step, rows, rows, [shape]));
        preconditioner.naturalGradientsSync();
      }
      const weightBytes = 4 * 160 * 201;
      const recordedBytes = 4 * rows * (200 + 160 + 160);
      const memory = preconditioner.memoryUsage();
      expect(memory.momentum).toBe(momentum > 0 ? weightBytes : 0);
      expect(memory.averages).toBe(weightBytes);
      expect(memory.total).toBe(
        memory.recorded + memory.factors + memory.workspace + memory.momentum + memory.averages,
      );
      // rows as recorded, as kept by the factors, and multiplied by their inverses; the rest are Gram matrices and
      // inverses, in float64 at most
      expect(memory.total).toBeLessThanOrEqual(2 * weightBytes + 6 * recordedBytes + 16 * 8 * rows ** 2);
      expect(memory.recorded).toBeGreaterThanOrEqual(recordedBytes);
    },
  );
  test('rows that are recorded are counted for every method', () => {
    for (const method of ['exact', 'cg', 'kfac'] as const) {
      const preconditioner = network({ method, stepRule: 'fixed' });
      const empty = preconditioner.memoryUsage();
      const all = rowsOf(1);
      record(preconditioner, all);
      const bytes = [...all.values()].reduce(
        (sum, { inputs, lossGrads, sampled }) => sum + 4 * (inputs.length + lossGrads.length + sampled.length),
        0,
      );
      expect(preconditioner.memoryUsage().recorded - empty.recorded).toBeGreaterThanOrEqual(bytes);
    }
  });
});
