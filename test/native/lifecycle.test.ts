import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

// Native objects are watched dying in processes of their own: a crash there is an exit signal here.
function run(program: string, ...args: string[]) {
  const flags = args.filter((each) => each.startsWith('--'));
  const words = args.filter((each) => !each.startsWith('--'));
  const { status, signal, stdout, stderr } = spawnSync(
    process.execPath,
    [...flags, join(__dirname, 'programs', program), ...words],
    { encoding: 'utf8', timeout: 120_000 },
  );
  return { status, signal, stdout: stdout.trim(), stderr };
}
/** AddressSanitizer keeps what was freed for a while, up to 256 MB; with it a run takes five times as long. */
const sanitized = process.env.LD_PRELOAD?.includes('libasan') ?? false;
// of each row of the table; CGFAC_LIFECYCLE_RUNS asks for more
const runs = process.env.CGFAC_LIFECYCLE_RUNS ?? (sanitized ? '5' : '20');
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

  test.each(['mutated', 'transferred', 'freed'])(
    'of every kind owns its memory: each array is %s meanwhile',
    (event) => {
      expect(run('owned-arrays.cjs', event, runs, '--expose-gc')).toEqual(clean('25 rows'));
    },
  );

  test('is never made with an array that can change its size', () => {
    expect(run('resizable-arrays.cjs')).toEqual(clean('50 rows refused'));
  });

  test('that updates weights goes on from what those before it leave, which may be aborted', () => {
    expect(run('updates-in-turn.cjs')).toEqual(clean('right after 40, 13 of them aborted'));
  });

  test('does not hang a spawn', () => {
    expect(run('spawn-while-pending.cjs')).toEqual(clean('spawned 10 aborted 4'));
  });
});

(sanitized ? describe.skip : describe)('what is dropped', () => {
  test('is collected though its arrays refer to it, and its memory freed without a turn of the event loop', () => {
    expect(run('collected.cjs', '--expose-gc')).toEqual(clean('0 circles left, layers bounded, solvers bounded'));
  });
});

describe('worker_threads', () => {
  test('may be terminated with every kind of call at work', () => {
    expect(run('terminate-each.cjs', runs)).toEqual(clean('alive and right'));
  });

  test('may be terminated with calls at work and queued', () => {
    expect(run('worker-terminate.cjs')).toEqual(clean('alive after 3 workers, 20 iterations'));
  });

  test('give the same bits as the main thread', () => {
    expect(run('worker-results.cjs')).toEqual(clean('different results: 1'));
  });
});
