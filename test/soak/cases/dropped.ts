/** Layers of some size that nobody disposes of. */
import { LayerPreconditioner } from 'cgfac';
import { arraysOf, randomNumbers } from '../../support/layers';
import type { Random } from '../random';
import type { Report } from '../tally';
import { sameBits } from '../watched';

const [width, batch] = [200, 16];

/** Makes layers, has one direction of each, and drops them. */
export async function droppedLayers(report: Report, random: Random): Promise<void> {
  const seed = random.seed();
  const rows = {
    inputs: randomNumbers(batch * width, seed),
    outputGrads: randomNumbers(batch * width, seed + 1),
    batch,
  };
  const v = randomNumbers(width * width, seed + 2);
  const method = random.pick(['cg', 'exact', 'kfac'] as const);
  const layer = { inFeatures: width, outFeatures: width, damping: 0.1, lossReduction: 'sum', method } as const;
  const recorded = () => {
    const made = new LayerPreconditioner(layer);
    made.record(rows);
    return made;
  };
  const expected = arraysOf(recorded().preconditionSync(v).x);
  const pending = Array.from({ length: 3 }, () => recorded().precondition(v)); // nobody else holds the layers
  for (const { x } of await Promise.all(pending))
    report.count('precondition of a dropped layer', sameBits(arraysOf(x), expected) ? 'right' : 'wrong');
}
