import { everyKind, trainedAlone, trainedTogether } from '../../../support/shared-training';
import { VirtualRanks } from '../../../support/virtual-ranks';
const error = (a: readonly number[], b: readonly number[]) => {
  let [d, n] = [0, 0];
  a.forEach((x, i) => { d += (x - (b[i] ?? 0)) ** 2; n += x * x; });
  return Math.sqrt(d / n);
};
test('by layer', async () => {
  for (const steps of [1, 3]) for (const layer of everyKind) {
    const shares = { samples: [9, 5, 10], layers: [layer] };
    const alone = await trainedAlone({}, shares, steps);
    const ranks = new VirtualRanks(3);
    const all = await ranks.run((communicator) => trainedTogether(communicator, {}, shares, steps));
    console.info(steps, layer.name, error(alone.numbers, all[0]!.numbers), alone.summaries.at(-1)!.innerProduct - all[0]!.summaries.at(-1)!.innerProduct,JSON.stringify(alone.summaries.at(-1)!.layers[0]!.damping),JSON.stringify(all[0]!.summaries.at(-1)!.layers[0]!.damping));
  }
});
