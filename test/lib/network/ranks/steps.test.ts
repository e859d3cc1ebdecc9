import type { PreconditionerOptions } from 'cgfac';
import { trainedAlone, trainedTogether } from '../../../support/shared-training';
import { VirtualRanks } from '../../../support/virtual-ranks';

const steps = 20;

/** Every way to precondition a network whose factors are the owner's affair. */
const methods = {
  adaptive: { preset: 'adaptive', stepRule: 'polyak' },
  safe: {},
  'no history': { factorHistory: 'none' },
  dense: { factorHistory: 'dense' },
  cg: { method: 'cg', stepRule: 'polyak' },
  kfac: { method: 'kfac', stepRule: 'polyak' },
} as const satisfies Record<string, Partial<PreconditionerOptions>>;

describe('rows that all go to their owner', () => {
  test.each(Object.entries(methods))('%s: 1, 2, 3 and 4 ranks have the bits of one process', async (_, options) => {
    for (const samples of [[24], [12, 12], [9, 5, 10], [6, 6, 6, 6]]) {
      const alone = await trainedAlone(options, { samples }, steps);
      const ranks = new VirtualRanks(samples.length);
      const all = await ranks.run((communicator) =>
        trainedTogether(communicator, { ...options, ownerRows: 'all' }, { samples }, steps),
      );
      for (const { numbers, summaries } of all) {
        expect(summaries.map(({ skipped }) => skipped)).toEqual(alone.summaries.map(({ skipped }) => skipped));
        expect(summaries.map(({ stepSize }) => stepSize)).toEqual(alone.summaries.map(({ stepSize }) => stepSize));
        expect(numbers).toEqual(alone.numbers);
      }
    }
  });
});
