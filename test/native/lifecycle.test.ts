import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

// Native objects are watched dying in processes of their own: a crash there is an exit signal here.
function run(program: string, ...flags: string[]) {
  const { status, signal, stdout, stderr } = spawnSync(
    process.execPath,
    [...flags, join(__dirname, 'programs', program)],
    {
      encoding: 'utf8',
      timeout: 25_000,
    },
  );
  return { status, signal, stdout: stdout.trim(), stderr };
}
const clean = (stdout: string) => ({ status: 0, signal: null, stdout, stderr: '' });

describe('the process ends cleanly', () => {
  // Without the exit handler one in five of these crashed: ten of each leave a chance of 1 in 100 to miss that.
  test.each(['exit-while-pending.cjs', 'exit-at-once.cjs'])(
    'by exit() with calls at work or queued, ten times: %s',
    (program) => {
      for (let time = 0; time < 10; time++) expect(run(program)).toEqual(clean('leaving'));
    },
  );

  test('by an uncaught error with calls at work', () => {
    const { status, signal, stderr } = run('throw-while-pending.cjs');
    expect({ status, signal }).toEqual({ status: 1, signal: null });
    expect(stderr).toContain('a defect of the program');
  });

  test('once the last pending call has settled', () => {
    expect(run('stay-alive.cjs')).toEqual(clean('settled after 20'));
  });
});

describe('a pending call', () => {
  test('holds what it borrows through garbage collections', () => {
    expect(run('collect-while-pending.cjs', '--expose-gc')).toEqual(clean('different results: 1'));
  });

  test('survives a transfer of its input', () => {
    expect(run('detach-while-pending.cjs')).toEqual(clean('max-iterations 0 120000'));
  });

  test('does not hang a spawn', () => {
    expect(run('spawn-while-pending.cjs')).toEqual(clean('spawned 10 aborted 4'));
  });
});

describe('worker_threads', () => {
  test('may be terminated with calls at work and queued', () => {
    expect(run('worker-terminate.cjs')).toEqual(clean('alive after 3 workers, 20 iterations'));
  });

  test('give the same bits as the main thread', () => {
    expect(run('worker-results.cjs')).toEqual(clean('different results: 1'));
  });
});
