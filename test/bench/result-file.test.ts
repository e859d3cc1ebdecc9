import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fingerprint, type Origin, ResultFile } from '../../bench/suites/training/result-file';
import { run } from './runs';

const origin: Origin = {
  machine: { cpu: 'some processor', cores: 2, node: 'v20.0.0', blasCore: 'Haswell', blasVersion: '0.3.21' },
  threads: 2,
  build: 'abc',
};

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'cgfac-bench-'));
});
afterEach(() => rmSync(folder, { recursive: true }));
const file = () => join(folder, 'runs.json');

test('a run is in the file as soon as it ended, and is taken over by the next', () => {
  const first = new ResultFile(file(), origin);
  expect(existsSync(file())).toBe(false);
  first.add(run('cgfac', 1, [2, null]));
  expect(readdirSync(folder)).toEqual(['runs.json']);
  const second = new ResultFile(file(), origin);
  expect(second.get({ task: 'some-task', contender: 'cgfac', seed: 1 })).toEqual(run('cgfac', 1, [2, null]));
  expect(second.get({ task: 'some-task', contender: 'cgfac', seed: 2 })).toBeUndefined();
  second.add(run('cgfac', 2, [1, 1]));
  expect((JSON.parse(readFileSync(file(), 'utf8')) as { runs: unknown[] }).runs).toHaveLength(2);
});

test('a run that failed by an error is done again, one that diverged is not', () => {
  const before = new ResultFile(file(), origin);
  before.add(run('cgfac', 1, [], { failed: 'some error' }));
  before.add(run('cgfac', 2, [], { diverged: 'ERR_CGFAC_DIVERGED' }));
  const after = new ResultFile(file(), origin);
  expect(after.get({ task: 'some-task', contender: 'cgfac', seed: 1 })).toBeUndefined();
  expect(after.get({ task: 'some-task', contender: 'cgfac', seed: 2 })).toBeDefined();
});

test('runs of another build, kernel, processor or number of threads are refused and left as they are', () => {
  new ResultFile(file(), origin).add(run('cgfac', 1, [2, 1]));
  const before = readFileSync(file(), 'utf8');
  const others: readonly (readonly [Partial<Origin>, RegExp])[] = [
    [{ build: 'def' }, /build abc instead of def/],
    [{ threads: 4 }, /pool threads 2 instead of 4/],
    [{ machine: { ...origin.machine, blasCore: 'Zen' } }, /OpenBLAS kernel Haswell instead of Zen/],
    [{ machine: { ...origin.machine, cpu: 'another' } }, /processor some processor instead of another/],
  ];
  for (const [other, message] of others) {
    expect(() => new ResultFile(file(), { ...origin, ...other })).toThrow(message);
  }
  expect(readFileSync(file(), 'utf8')).toBe(before);
});

test('a file of something else is refused', () => {
  writeFileSync(file(), '{ "rows": [] }');
  expect(() => new ResultFile(file(), origin)).toThrow('received another JSON file');
  writeFileSync(file(), 'no JSON');
  expect(() => new ResultFile(file(), origin)).toThrow('received no JSON');
});

test('without a file runs are kept in memory', () => {
  const kept = new ResultFile(undefined, origin);
  kept.add(run('cgfac', 1, [2, 1]));
  expect(kept.get({ task: 'some-task', contender: 'cgfac', seed: 1 })).toBeDefined();
});

test('the fingerprint follows what compiled files say, not what lies beside them', () => {
  writeFileSync(join(folder, 'a.js'), '1');
  const first = fingerprint([folder], []);
  writeFileSync(join(folder, 'a.d.ts'), '2');
  expect(fingerprint([folder], [])).toBe(first);
  writeFileSync(join(folder, 'a.js'), '3');
  expect(fingerprint([folder], [])).not.toBe(first);
});
