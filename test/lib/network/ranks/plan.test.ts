import { local, Preconditioner, type PreconditionerOptions } from 'cgfac';
import { IDS, ROWS } from '../../../support/kind-layers';
import { randomNumbers } from '../../../support/layers';
import { everyKind, lossOf, networkOf, recordShare } from '../../../support/shared-training';
import { VirtualRanks } from '../../../support/virtual-ranks';

const usual = 12;
/** Rows of a sample, where it has several. */
const rows = { embedding: IDS, scaleShift: ROWS };
const settings: readonly [string, Partial<PreconditionerOptions>][] = [
  ['auto', {}],
  ['all', { ownerRows: 'all' }],
  ['sampled', { ownerRows: 'sampled' }],
  ['own', { ownerRows: 'own' }],
  ['factors', { ownerRows: 'factors', factorHistory: 'dense' }],
  ['no history', { factorHistory: 'none' }],
  ['quadratic', { preset: 'adaptive', stepRule: 'quadratic' }],
];

test.each(settings)('%s: what a step sends is what was planned', async (name, options) => {
  // so few and so wide that directions are rows wherever they may be
  const [batch, layers] = name === 'all' ? [2, everyKind.slice(1)] : [usual, everyKind];
  for (const size of name === 'auto' ? [2, 3, 4, 16] : [3]) {
    const ranks = new VirtualRanks(size);
    const shares = { samples: new Array<number>(size).fill(batch), layers };
    const plans = await ranks.run(async (communicator, rank) => {
      const { preconditioner } = networkOf({ ...options, communicator }, layers);
      const found = [];
      for (const refresh of [true, true, false]) {
        const plan = preconditioner.plan({ batch, sampled: batch, refresh, rows });
        if (rank === 0) ranks.traffic = {};
        recordShare(preconditioner, shares, found.length, rank);
        await preconditioner.naturalGradients({ loss: lossOf(0, rank) });
        found.push({ plan, sent: ranks.sent });
        // sides that are panels are drawn from with less room than at first; T is 5 after 10 steps
        for (let step = 0; found.length === 2 && step < 9; step++) {
          recordShare(preconditioner, shares, step, rank);
          await preconditioner.naturalGradients({ loss: lossOf(0, rank) });
        }
      }
      return found;
    });
    for (const { plan, sent } of plans[0] ?? []) {
      const mean = sent.reduce((sum, bytes) => sum + bytes, 0) / size;
      expect(Math.abs(mean / plan.mean - 1)).toBeLessThan(0.02);
      expect(Math.max(...sent)).toBeLessThan(1.02 * plan.busiest);
    }
  }
});

test('rows that are sampled add less than a twentieth to what plain data-parallel training sends', async () => {
  const widths = [784, 400, 200, 100, 30, 100, 200, 400, 784];
  const names = widths.slice(1).map((_, index) => `layer ${index}`);
  for (const size of [2, 4]) {
    const ranks = new VirtualRanks(size);
    const [found] = await ranks.run(async (communicator, rank) => {
      // steps 0 and 1 refresh, 2 does not
      const options = { communicator, ownerRows: 'sampled', factorUpdateSteps: 3, maxRows: 128 } as const;
      const preconditioner = new Preconditioner({ lossReduction: 'mean', ...options });
      const told = [];
      names.forEach((name, index) => {
        const [inFeatures = 0, outFeatures = 0] = widths.slice(index);
        preconditioner.registerDense(name, { inFeatures, outFeatures });
      });
      for (let step = 0; step < 3; step++) {
        names.forEach((name, index) => {
          const [inFeatures = 0, outFeatures = 0] = widths.slice(index);
          const inputs = randomNumbers(32 * inFeatures, 10 * index + rank);
          const lossGrads = randomNumbers(32 * outFeatures, 10 * index + rank + 100);
          preconditioner.record(name, { inputs, lossGrads, batch: 32 });
          preconditioner.recordFisher(name, { outputGrads: lossGrads, batch: 32 });
        });
        const plan = preconditioner.plan({ batch: 32, sampled: 32, refresh: step < 2 });
        if (rank === 0) ranks.traffic = {};
        await preconditioner.naturalGradients({ loss: 1 });
        told.push({ plan, mean: ranks.sent.reduce((sum, bytes) => sum + bytes, 0) / size });
      }
      return told;
    });
    const [, refreshed, kept] = found ?? [];
    for (const each of [refreshed, kept])
      expect(Math.abs((each?.mean ?? 0) / (each?.plan.mean ?? 0) - 1)).toBeLessThan(0.02);
    // the factors take in rows at every fifth step, the default of all presets
    const mean = ((refreshed?.mean ?? 0) + 4 * (kept?.mean ?? 0)) / 5;
    expect(mean).toBeLessThan(1.05 * (kept?.plan.sgd ?? 0));
  }
});

test('a process by itself sends nothing', () => {
  for (const options of [{}, { communicator: local() }]) {
    const { preconditioner } = networkOf(options);
    const { ranks, mean, busiest, sgd, layers } = preconditioner.plan({ batch: usual });
    expect([ranks, mean, busiest, sgd]).toEqual([1, 0, 0, 0]);
    expect(new Set(layers.map(({ owner }) => owner))).toEqual(new Set([0]));
  }
});
