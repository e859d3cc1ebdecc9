import type { PreconditionerOptions } from 'cgfac';
import { trainedAlone, trainedTogether } from '../../../support/shared-training';
import { VirtualRanks } from '../../../support/virtual-ranks';

const steps = 10;
const error = (a: readonly number[], b: readonly number[]) => {
  let [d, n] = [0, 0];
  a.forEach((x, i) => { d += (x - (b[i] ?? 0)) ** 2; n += x * x; });
  return Math.sqrt(d / n);
};
const methods: Record<string, Partial<PreconditionerOptions>> = {
  safe: {}, adaptive: { preset: 'adaptive', stepRule: 'polyak' }, quadratic: { preset: 'adaptive', stepRule: 'quadratic' },
  'no history': { factorHistory: 'none' }, dense: { factorHistory: 'dense' }, cg: { method: 'cg', stepRule: 'polyak' }, kfac: {method: 'kfac', stepRule: 'polyak'},
};
test.each(Object.entries(methods))('%s', async (name, options) => {
  for (const samples of [[12, 12], [9, 5, 10]]) {
    const alone = await trainedAlone(options, { samples }, steps);
    for (const ownerRows of ['all', 'auto', 'sampled', 'own', 'factors'] as const) {
      if (ownerRows === 'factors' && name !== 'dense' && name !== 'kfac') continue;
      const ranks = new VirtualRanks(samples.length);
      try {
        const all = await ranks.run((communicator) => trainedTogether(communicator, { ...options, ownerRows }, { samples }, steps));
        console.info(name, samples.length, ownerRows, error(alone.numbers, all[0]!.numbers), error(all[1]!.numbers, all[0]!.numbers), all[0]!.summaries.filter((s) => s.skipped).length, JSON.stringify(ranks.traffic));
      } catch (e) { console.info(name, samples.length, ownerRows, e); }
    }
  }
});
