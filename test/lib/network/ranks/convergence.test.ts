import { autoencoder, classifier, lossesOf } from '../../../support/small-networks';
import { VirtualRanks } from '../../../support/virtual-ranks';

/** The mean loss of the second half of a run of four ranks, whose samples are all new. */
async function lastLoss(task: typeof autoencoder, steps: number, options: object): Promise<number> {
  const ranks = new VirtualRanks(4);
  const [losses = [], ...others] = await ranks.run((communicator) => lossesOf(task, steps, communicator, options));
  for (const each of others) expect(each).toEqual(losses);
  const last = losses.slice(steps / 2);
  const mean = last.reduce((sum, loss) => sum + loss, 0) / last.length;
  expect(mean).toBeLessThan(0.8 * (losses[0] ?? 0)); // it trains
  return mean;
}

// Of the classifier the mean over three draws of targets: one of them alone moves its loss by 6 %.
test.each([
  { ...autoencoder, steps: 30, seeds: [0] },
  { ...classifier, steps: 60, seeds: [0, 1, 2] },
])('$name: four ranks train as well with half of the rows', async ({ seeds, steps, ...task }) => {
  let [all, sampled] = [0, 0];
  for (const seed of seeds) {
    all += await lastLoss(task, steps, { ownerRows: 'all', seed });
    sampled += await lastLoss(task, steps, { ownerRows: 'sampled', maxRows: 32, seed });
  }
  expect(Math.abs(sampled / all - 1)).toBeLessThan(0.02);
});
