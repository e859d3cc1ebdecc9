import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { outcomes, Tally } from './tally';

// The command as it is compiled; `npm run soak` runs it for longer.
const program = resolve(__dirname, '../../dist/test/soak/main.js');
const folder = mkdtempSync(join(tmpdir(), 'cgfac-soak-'));
afterAll(() => rmSync(folder, { recursive: true }));

interface Told {
  readonly cancelled: boolean;
  readonly failed: number;
  readonly terminated: number;
  readonly tally: Tally;
  readonly memory: readonly { readonly resident: number }[];
}

/** Runs it; `started`: what is done with its process once it has said what it runs. */
async function soak(args: readonly string[], started: (interrupt: () => void) => void = () => undefined) {
  const file = join(folder, 'soak.json');
  const child = spawn(process.execPath, [program, ...args, '--json', file], { stdio: ['ignore', 'pipe', 'pipe'] });
  let [text, errors] = ['', ''];
  child.stdout.once('data', () => started(() => child.kill('SIGINT')));
  child.stdout.setEncoding('utf8').on('data', (more: string) => {
    text += more;
  });
  child.stderr.setEncoding('utf8').on('data', (more: string) => {
    errors += more;
  });
  const [code, signal] = await new Promise<[number | null, NodeJS.Signals | null]>((settle) => {
    child.once('close', (...end) => settle(end));
  });
  const told = JSON.parse(readFileSync(file, 'utf8')) as Told;
  return { code, signal, text, errors, told };
}

test('a short run finds nothing wrong among calls that are aborted, refused and cut off', async () => {
  const { code, text, told } = await soak(['--minutes', '0.06', '--workers', '2', '--seed', '7']);
  const counted = (outcome: (typeof outcomes)[number]) =>
    Object.values(told.tally).reduce((sum, counts) => sum + counts[outcome], 0);
  expect([counted('wrong'), counted('unexpected')]).toEqual([0, 0]);
  expect(code).toBe(0);
  expect(text).toMatch(/^soak: 0.06 min, 2 workers, seed 7; /);
  expect(text.trim().split('\n').at(-1)).toMatch(/^\d+ passed, 0 failed$/);
  for (const outcome of ['right', 'aborted', 'refused'] as const) expect(counted(outcome)).toBeGreaterThan(0);
  expect(told.terminated).toBeGreaterThan(0);
  expect(told.memory.length).toBeGreaterThan(0);
});

test('Ctrl-C ends a run, which tells what it has', async () => {
  const { code, signal, text, told } = await soak(['--minutes', '60', '--workers', '1'], (interrupt) => {
    setTimeout(interrupt, 1500);
  });
  expect([code, signal, told.cancelled, told.failed]).toEqual([130, null, true, 0]);
  expect(text).toMatch(/cancelled\n(.*\n)*\d+ passed, 0 failed\n$/);
});
