import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { reportPage } from '../../../bench/compare/report';
import type { Comparison } from '../../../bench/compare/result';
import { shown, shownMean, shownMib } from '../../../bench/compare/words';
import { buildBenchmarks } from '../../support/programs';

// The program itself, as `npm run compare` starts it, on the smallest of its tasks.
const program = resolve(__dirname, '../../../dist/bench/compare/main.js');
const asked = ['--quick', '--tasks', 'regression', '--methods', 'sgd,adam,cg10,cgfac', '--seeds', '1,2'];
/** Two rates of Adam, one setting of each other; the other seed with the best of each. */
const RUNS = 5 + 4;

beforeAll(buildBenchmarks, 60_000);

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'cgfac-compare-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const args = () => [program, ...asked, '--out', folder];
const journal = () => join(folder, 'compare.jsonl');
const lines = () => (existsSync(journal()) ? readFileSync(journal(), 'utf8').split('\n').filter(Boolean) : []);
const comparison = () => JSON.parse(readFileSync(join(folder, 'compare.json'), 'utf8')) as Comparison;

/** Starts the program and kills it as soon as its journal has so many runs. */
async function cutOff(runs: number): Promise<void> {
  const child = spawn(process.execPath, args(), { stdio: 'ignore' });
  const ended = new Promise<NodeJS.Signals | null>((settle) => child.once('exit', (_, signal) => settle(signal)));
  const watch = setInterval(() => {
    if (lines().length >= runs) child.kill('SIGKILL');
  }, 5);
  const signal = await ended;
  clearInterval(watch);
  expect(signal).toBe('SIGKILL');
}

/** A figure of the JSON by the place that a cell of the report names. */
const at = (place: string, whole: unknown): unknown =>
  place.split('.').reduce<unknown>((part, key) => (part as Record<string, unknown> | undefined)?.[key], whole);

/** How the report writes a figure. */
function written(place: string, value: unknown): string[] {
  const number = value as number | null;
  if (place.endsWith('.bytes')) return [shownMib(number ?? Number.NaN)];
  if (/\.(train|heldOut)\.mean$/.test(place)) return [shownMean({ mean: number, least: null, most: null })];
  if (/\.(step|iterations)$/.test(place)) return [String(number)];
  return number === null ? ['–', 'not finite'] : [shown(number)];
}

test('a comparison that was killed goes on where it was, and its report has the figures of its JSON', async () => {
  await cutOff(3);
  const before = lines();
  expect(before.length).toBeGreaterThanOrEqual(3);
  expect(before.length).toBeLessThan(RUNS);
  const { status, stdout, stderr } = spawnSync(process.execPath, args(), { encoding: 'utf8' });
  expect({ status, stderr: stderr.replace(/^\d+ of 9, .*\n/gm, '') }).toEqual({ status: 0, stderr: '' });
  const whole = before.filter((line) => line.endsWith('}')).length;
  expect(stdout).toContain(`${RUNS - whole} runs trained now`);
  expect(lines().slice(0, whole)).toEqual(before.slice(0, whole));

  const html = readFileSync(join(folder, 'report.html'), 'utf8');
  const found = comparison();
  const figures = [...html.matchAll(/data-figure="([^"]+)">([^<]*)</g)].map(([, place = '', text = '']) => ({
    place,
    text,
  }));
  expect(figures.length).toBeGreaterThan(50);
  expect(figures.filter(({ place, text }) => !written(place, at(place, found)).includes(text))).toEqual([]);
  const data = JSON.parse(/<script type="application\/json" id="data">(.*?)<\/script>/s.exec(html)?.[1] ?? '');
  expect(data.tasks[0].methods.map(({ points }: { points: unknown }) => points)).toEqual(
    found.tasks[0]?.methods.map(({ points }) => points),
  );

  const again = spawnSync(process.execPath, args(), { encoding: 'utf8' });
  expect(again.stdout).toContain('0 runs trained now');
  const { made: _, ...once } = found;
  const { made: __, ...twice } = comparison();
  expect(twice).toEqual(once);
});

test('names that there are not are refused', () => {
  const { status, stderr } = spawnSync(process.execPath, [program, '--tasks', 'ocr'], { encoding: 'utf8' });
  expect(status).toBe(1);
  expect(stderr).toContain('Expected some of autoencoder, classifier, convnet, recurrent, regression.');
});

test('nothing of a task can end the script that the page keeps its numbers in', async () => {
  const task = {
    name: 'x',
    title: '</script><b>',
    program: 'x',
    about: '<i>',
    unit: '</script>',
    steps: 1,
    weights: 1,
  };
  const page = await reportPage({
    made: '2026-01-01',
    quick: true,
    machine: { cpu: '<cpu>', cores: 1, node: 'v20', blasCore: 'Haswell', blasVersion: '0' },
    threads: 1,
    versions: { cgfac: '0', tfjs: '0' },
    build: '',
    seeds: [1],
    reference: 'adam',
    tasks: [{ ...task, equalSeconds: null, methods: [] }],
  });
  expect(page).not.toContain('<b>');
  expect(page).not.toContain('<i>');
  expect(page).not.toContain('<cpu>');
  expect(page.match(/<script\b/g)).toHaveLength(2);
  expect(page.match(/<\/script/g)).toHaveLength(2);
});
