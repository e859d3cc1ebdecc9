import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { sanitized } from '../support/children';

// Native objects are watched dying in processes of their own: a crash there is an exit signal here. What is repeated is
// in lifecycle-table.test.ts.
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
const clean = (stdout: string) => ({ status: 0, signal: null, stdout, stderr: '' });

describe('the process ends cleanly', () => {
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

  test('that updates weights goes on from what those before it leave, which may be aborted', () => {
    expect(run('updates-in-turn.cjs')).toEqual(clean('right after 40, 13 of them aborted'));
  });

  test('does not hang a spawn', () => {
    expect(run('spawn-while-pending.cjs')).toEqual(clean('spawned 10 aborted 4'));
  });
});

// AddressSanitizer keeps what was freed for a while, up to 256 MB
(sanitized ? describe.skip : describe)('what is dropped', () => {
  test('is collected though its arrays refer to it, and its memory freed without a turn of the event loop', () => {
    expect(run('collected.cjs', '--expose-gc')).toEqual(clean('0 circles left, layers bounded, solvers bounded'));
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
