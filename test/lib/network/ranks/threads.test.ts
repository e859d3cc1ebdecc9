import { run } from '../../../support/children';

test('Sync methods of ranks on threads of their own wait for each other, and do what one process does', async () => {
  const { end, stdout, stderr } = await run('ranks-in-threads.cjs');
  expect({ end, stderr }).toEqual({ end: 0, stderr: '' });
  expect(stdout.split('\n')).toEqual([
    'weights: 1',
    'skipped: the head is not known (rank 0); the head is not known (rank 0)',
    'state: true undefined',
  ]);
});
