import { smallNetworks } from '../../bench/suites/ranks/networks';
import { planFor, preconditionerOf, rivalsOf } from '../../bench/suites/ranks/volume';
import { randomNumbers } from '../support/layers';
import { VirtualRanks } from '../support/virtual-ranks';

/** Steps that refresh the factors, the second with panels that have begun, and one that does not. */
const refreshes = [true, true, false];

describe.each(smallNetworks)('$name', (network) => {
  test.each([2, 3, 4])('%s ranks send what was planned', async (size) => {
    const ranks = new VirtualRanks(size);
    const sampled = Math.ceil(network.batch / 2);
    const found = await ranks.run(async (communicator, rank) => {
      const preconditioner = preconditionerOf(network, communicator, { factorUpdateSteps: 3, stepRule: 'polyak' });
      const told = [];
      for (const refresh of refreshes) {
        const plan = planFor(preconditioner, network, refresh);
        for (const { name, inputs, outputs } of network.layers) {
          const numbers = randomNumbers(network.batch * inputs, 7 * rank + 1);
          const lossGrads = randomNumbers(network.batch * outputs, 7 * rank + 2);
          const rows = name === 'table' ? Int32Array.from(numbers, (x) => Math.floor(200 * Math.abs(x))) : numbers;
          preconditioner.record(name, { inputs: rows, lossGrads, batch: network.batch });
          const outputGrads = lossGrads.slice(0, sampled * outputs);
          preconditioner.recordFisher(name, { outputGrads, batch: sampled });
        }
        if (rank === 0) ranks.traffic = {};
        await preconditioner.naturalGradients({ loss: 1 });
        told.push({ plan, mean: ranks.sent.reduce((sum, bytes) => sum + bytes, 0) / size });
      }
      return told;
    });
    for (const { plan, mean } of found[0] ?? []) expect(Math.abs(mean / plan.mean - 1)).toBeLessThan(0.02);
  });
});

test('what others send is counted by hand on a network of one layer', () => {
  const [layer] = smallNetworks[3]?.layers ?? [];
  if (layer === undefined) throw new Error('no layer');
  const network = { name: 'one', batch: 1, layers: [{ ...layer, dimensions: [3, 2] as const }] };
  // q = 3/4, n = 6, squares 9 + 4
  expect(rivalsOf(network, 6, 4)).toEqual({
    kaisaCommOpt: 4 * (9 + 19.5 + 14.25),
    kaisaMemOpt: 4 * (9 + 19.5 + 4.5),
    dpKfac: 4 * (9 + 4.5),
  });
});
