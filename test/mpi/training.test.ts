/** Ranks under MPI train the network that one process trains with all of their samples. */
import { resolve } from 'node:path';
import { mpis, requireMpi, startRanks } from '../support/mpi';
import { buildExamples, repository } from '../support/programs';

beforeAll(requireMpi);

test.each([1, 2, 3, 4])('weights of %i ranks after 20 steps', async (size) => {
  const runs = await Promise.all(mpis.map((mpi) => startRanks(mpi, size, 'train.cjs')));
  for (const { code, output, left } of runs) {
    expect({ code, left, output }).toMatchObject({ code: 0, left: [] });
    const lines = [...output.matchAll(/^rank \d (all|auto) (promises|waits) (same|other) (\S+)$/gm)];
    expect(lines).toHaveLength(3 * size);
    for (const [, ownerRows, , bits, error] of lines) {
      // rows of all ranks at the owner, in their order, are those of one process
      if (ownerRows === 'all') expect(bits).toBe('same');
      // where a gradient travels in the place of rows, the shares' gradients are summed as numbers of their own
      expect(Number(error)).toBeLessThanOrEqual(1e-6);
    }
    const moved = [...output.matchAll(/^rank \d moved (\S+)$/gm)].map(([, share]) => Number(share));
    expect(moved).toHaveLength(size);
    for (const share of moved) expect(share).toBeGreaterThan(0.001);
  }
});

test.each([
  [1, 'openmpi'],
  [2, 'openmpi'],
  [2, 'mpich'],
  [3, 'mpich'],
  [4, 'openmpi'],
] as const)('weights of %i ranks of %s after 20 steps of model.fit', async (size, mpi) => {
  const { code, output, left } = await startRanks(mpi, size, 'tfjs.cjs', { seconds: 40 });
  expect({ code, left, output }).toMatchObject({ code: 0, left: [] });
  const [, found = ''] = /^tfjs (.*)$/m.exec(output) ?? [];
  const { error, moved, trained, same } = JSON.parse(found) as Record<'error' | 'moved' | 'trained', number> & {
    readonly same: boolean;
  };
  expect(same).toBe(true);
  expect(trained).toBeGreaterThan(0.1);
  // the framework sums a batch in pieces, which rounds as much as another order of the samples does
  if (size === 1) expect(error).toBe(0);
  else expect(error).toBeLessThanOrEqual(2 * moved);
  expect(moved).toBeLessThanOrEqual(1e-5);
});

describe('the example', () => {
  beforeAll(buildExamples, 60_000);

  test('trains a model, whose ranks end with the same weights', async () => {
    const program = resolve(repository, 'dist/examples/distributed.js');
    const { code, output, left } = await startRanks('openmpi', 2, program, { args: ['--epochs', '1'], seconds: 40 });
    expect({ code, left, output }).toMatchObject({ code: 0, left: [] });
    expect(output).toMatch(/^Classifier 784-300-100-10 of digits, batches of 256: 128 to a rank$/m);
    expect(output.match(/^training step 35\/35 {2}loss 0\.\d{4} {2}\d+ ms\/step$/gm)).toHaveLength(1);
    const last = /^2 ranks, which have the same weights, took 35 steps in \S+ s; of 1,000 digits held out (\S+) % are/m;
    expect(Number(last.exec(output)?.[1])).toBeLessThan(12);
  });

  test('says once that it cannot share out a batch', async () => {
    const program = resolve(repository, 'dist/examples/distributed.js');
    const { code, output } = await startRanks('openmpi', 3, program);
    expect(code).toBe(1);
    expect(output.match(/Expected ranks that share out 256 digits equally, and got 3\./g)).toHaveLength(1);
  });
});
