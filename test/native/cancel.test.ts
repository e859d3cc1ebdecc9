import { run } from '../support/children';

// Solves that take some tenths of a second are to end at once, whatever they are doing; how soon is a share of what
// they take in all, so that the speed of a machine does not matter.
const methods = ['exact', 'kfac', 'factored', 'dense', 'sample', 'gram', 'weight'];

test('an abort ends every method within a block of its work', async () => {
  const { end, stdout } = await run('cancel.cjs', { args: methods });
  expect(stdout.split('\n')).toEqual(methods.map((name) => `${name} AbortError soon`));
  expect(end).toBe(0);
}, 60_000);

test.each([
  ['kfac', 'async'],
  ['exact', 'sync'],
])('terminate() ends a worker within %s, %s', async (method, kind) => {
  const { end, stdout, stderr } = await run('terminate-solve.cjs', { args: [method, kind] });
  expect([end, stdout, stderr]).toEqual([0, `${method} ${kind} soon\nalive 490000`, '']);
});

test('exit() ends the process within a decomposition', async () => {
  const { end, stdout, stderr } = await run('exit-solve.cjs', { args: ['kfac'] });
  const late = Date.now();
  expect([end, stderr]).toEqual([0, '']);
  const { left, milliseconds } = JSON.parse(stdout) as { left: number; milliseconds: number };
  // 200 ms: the end of the process itself, on a busy machine
  expect(late - left).toBeLessThan(0.4 * milliseconds + 200);
});
