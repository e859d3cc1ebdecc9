/** Ranks under MPI train the network that one process trains with all of their samples. */
import { mpis, requireMpi, startRanks } from '../support/mpi';

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
