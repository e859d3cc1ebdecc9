// What conjugate gradients say of a solve that begins with the solution of the batch before: where a layer has more
// rows than features, a start is far from the next solution, and the residual falls by four orders of magnitude.
import { LayerPreconditioner } from 'cgfac';
import { rowsOf } from '../support/bounds';
import { combined, norm } from '../support/dense-matrices';
import { factor, fisher, weightedRows } from '../support/dense-oracle';
import { randomNumbers } from '../support/layers';
import { unitRoundoff } from '../support/methods';

const BATCH = 7;
const averaging = { factorHistory: 'none', decay: 0, rank: 1 } as const;

test('the residual is the true one, from any start', () => {
  let seed = 1;
  const numbers = (count: number) => randomNumbers(count, seed++);
  const wrong: string[] = [];
  for (let i = 0; i < 4000; i++) {
    const [inFeatures, outFeatures] = [2 + (i % 2), 2 + ((i >> 1) % 2)];
    const layer = new LayerPreconditioner({
      ...{ inFeatures, outFeatures, bias: false, lossReduction: 'sum' },
      ...{ method: 'cg', space: 'gram', warmStart: 'previous', tolerance: 1e-3, maxIterations: 28 },
      damping: { relative: 10 ** ((i % 100) / 100 - 3) },
    });
    for (let solve = 0; solve < 3; solve++) {
      const [inputs, outputGrads] = [numbers(BATCH * inFeatures), numbers(BATCH * outFeatures)];
      const v = numbers(inFeatures * outFeatures);
      layer.record({ inputs, outputGrads, batch: BATCH });
      const { x: direction, residual: claimed = Number.NaN, damping } = layer.preconditionSync(v);
      const a = factor([weightedRows(inputs, inFeatures, BATCH ** -0.5)], averaging);
      const g = factor([weightedRows(outputGrads, outFeatures, BATCH ** -0.5)], averaging);
      const [x, right] = [rowsOf(direction, outFeatures), rowsOf(v, outFeatures)];
      const image = combined(1, fisher(a, g, x), Number(damping), x);
      const residual = norm(combined(1, right, -1, image)) / norm(right);
      const rounding = (4 * unitRoundoff * a.trace * g.trace * norm(x)) / norm(right) + 4 * unitRoundoff;
      if (!(residual <= 2 * claimed + rounding)) wrong.push(`${i}, ${solve}: ${claimed} where it is ${residual}`);
    }
  }
  expect(wrong).toEqual([]);
});
