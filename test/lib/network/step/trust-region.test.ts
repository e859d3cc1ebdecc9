import type { WeightVector } from 'cgfac';
import { at } from '../../../support/golden-case';
import { layers, network, numbersOf, record, rowsOf } from '../../../support/networks';
import { closeTo, take, updated } from '../../../support/steps';

describe('trustRegion', () => {
  const options = { method: 'exact', dampingMode: 'tikhonov', momentum: 0, factorUpdateSteps: 1 } as const;
  test.each([1e-4, 1e-3, 1e-2])('½η²Σ xᵀF x = %p, in both forms of a call', async (kl) => {
    const eta = 0.5;
    const [sync, later] = [
      network({ ...options, trustRegion: { kl }, learningRate: eta }),
      network({ ...options, trustRegion: { kl }, learningRate: eta }),
    ];
    for (const step of [1, 2]) {
      for (const each of [sync, later]) record(each, rowsOf(step));
      const { summary, updates } = sync.naturalGradientsSync();
      const divergence =
        (eta ** 2 / 2) * summary.layers.reduce((sum, { curvature = Number.NaN }) => sum + curvature, 0);
      // λ is found to 1e-13, xᵀF x of a solve to the rounding of float32 products
      expect(Math.abs(divergence / kl - 1)).toBeLessThan(2e-5);
      expect(summary.stepSize).toBe(eta);
      const found = summary.layers.map(({ damping }) => damping as number);
      expect(numbersOf((await later.naturalGradients()).updates)).toEqual(numbersOf(updates));

      // the same λ given layer by layer gives the same directions
      layers.forEach((layer, index) => {
        const alone = network(
          { ...options, damping: at(found, index), stepRule: 'fixed', learningRate: eta },
          undefined,
          [layer],
        );
        record(alone, new Map([...rowsOf(step)].filter(([name]) => name === layer.name)));
        const update = alone.naturalGradientsSync().updates[layer.name] as WeightVector;
        closeTo(numbersOf({ update }), numbersOf({ update: updates[layer.name] as WeightVector }), updated);
      });
    }
  });
  test('a smaller divergence is a larger damping', () => {
    const found = [1e-3, 1e-5].map((kl) => {
      const preconditioner = network({ ...options, trustRegion: { kl } });
      return take(preconditioner, 1)[0]?.layers[0]?.damping as number;
    });
    expect(at(found, 1)).toBeGreaterThan(at(found, 0));
  });
});
