import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Entry } from '../../../bench/compare/journal';
import { Journal, keyOf } from '../../../bench/compare/journal';
import { methods } from '../../../bench/compare/methods';
import { timeLeft } from '../../../bench/compare/progress';
import { taskResult } from '../../../bench/compare/result';
import { best, type Played, type TaskEntries } from '../../../bench/compare/session';
import { tasks } from '../../../bench/compare/tasks';
import { run } from '../runs';

const entry = (losses: readonly (number | null)[], seconds: readonly (number | null)[], seed = 1): Entry => ({
  key: '',
  run: run('', seed, losses),
  seconds,
  weights: 3,
  bytes: 12,
});

function method(name: string) {
  const found = methods.find((each) => each.name === name);
  if (found === undefined) throw new Error(`there is no ${name}`);
  return found;
}

/** A method whose settings came to these last losses from the first seed, the best of which has these runs. */
function played(name: string, entries: readonly Entry[], others: readonly Entry[] = []): Played {
  const own = method(name);
  const grid = [entries, ...others.map((each) => [each])].map((each, place) => {
    const setting = own.settings[place];
    if (setting === undefined) throw new Error(`${name} has no setting ${place}`);
    return { setting, entries: each.slice(0, 1) };
  });
  const chosen = best(grid);
  if (chosen === undefined) throw new Error('there is none');
  return { method: own, grid, chosen: { ...chosen, entries } };
}

function resultOf(all: readonly Played[]) {
  const [task] = tasks;
  if (task === undefined) throw new Error('there is no task');
  const course = { ...task.full, told: [10, 25] };
  return taskResult({ task, course, played: all } satisfies TaskEntries);
}

test('a method won where it is better with every seed, and lost where it is worse with every one', () => {
  const adam = played('adam', [entry([5, 4], [1, 2]), entry([5, 3], [1, 2], 2)]);
  const better = played('cgfac', [entry([3, 2], [2, 4]), entry([3, 2.5], [2, 4], 2)]);
  const mixed = played('cg10', [entry([3, 2], [1, 2]), entry([3, 3.5], [1, 2], 2)]);
  const worse = played('sgd', [entry([7, 6], [1, 2]), entry([7, null], [1, 2], 2)]);
  const { methods: found, equalSeconds } = resultOf([adam, better, mixed, worse]);
  expect(found.map(({ marks }) => marks.train)).toEqual(['reference', 'won', 'even', 'lost']);
  expect(equalSeconds).toBe(2);
  // after two seconds the better one was at its first told step
  expect(found.map(({ atEqualTime }) => atEqualTime)).toEqual([3.5, 3, 2.75, null]);
  expect(found[1]?.reaches).toEqual({ step: 10, seconds: 2 });
  expect(found[3]?.reaches).toBeUndefined();
  expect(found[1]?.points[1]?.train).toEqual({ mean: 2.25, least: 2, most: 2.5 });
  expect(found[3]?.train).toEqual({ mean: null, least: null, most: null });
});

test('the best setting is the least loss that is a number, and one at the end of its grid is told', () => {
  const inside = played('adam', [entry([5, 4], [1, 2])], [entry([5, 1], [1, 2]), entry([5, null], [1, 2])]);
  expect(inside.chosen.setting).toBe(method('adam').settings[1]);
  const { methods: found } = resultOf([{ ...inside, chosen: { ...inside.chosen, entries: [entry([5, 1], [1, 2])] } }]);
  expect(found[0]).toMatchObject({ edge: false, train: { mean: 1 } });
  expect(resultOf([played('adam', [entry([5, 1], [1, 2])], [entry([5, 4], [1, 2])])]).methods[0]?.edge).toBe(true);
});

describe('the journal', () => {
  const folder = mkdtempSync(join(tmpdir(), 'cgfac-journal-'));
  afterAll(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'some.jsonl');

  test('has what was added, but for a line that was cut off and for runs that failed', () => {
    const journal = new Journal(file);
    journal.add({ ...entry([1, 1], [1, 2]), key: 'a' });
    journal.add({ ...entry([1, 1], [1, 2]), key: 'b', run: run('', 1, [1, 1], { failed: 'an error' }) });
    writeFileSync(
      file,
      readFileSync(file, 'utf8') + readFileSync(file, 'utf8').trim().replace('"a"', '"c"').slice(0, 90),
    );
    const again = new Journal(file);
    expect(['a', 'b', 'c'].map((key) => again.get(key)?.run.told.length)).toEqual([2, undefined, undefined]);
    again.add({ ...entry([1, 1], [1, 2]), key: 'd' });
    expect(new Journal(file).get('d')?.weights).toBe(3);
  });

  test('knows a run by everything that decides it', () => {
    const decided = {
      program: 'p',
      about: 'a',
      told: [1, 2],
      batchFactor: 1,
      setting: 's',
      seed: 1,
      build: 'b',
      cpu: 'c',
      blasCore: 'k',
      threads: 2,
      node: 'n',
    };
    const others = [{ seed: 2 }, { told: [1, 3] }, { build: 'd' }, { threads: 1 }, { setting: 't' }, { cpu: 'e' }];
    const keys = [decided, ...others.map((other) => ({ ...decided, ...other }))].map(keyOf);
    expect(new Set(keys).size).toBe(keys.length);
    expect(keyOf({ ...decided })).toBe(keys[0]);
  });
});

test.each([
  [Number.POSITIVE_INFINITY, 'time left not known yet'],
  [12.4, '12 s left'],
  [600, '10 min left'],
  [3600 * 2.26, '2.3 h left'],
])('%d seconds are %s', (seconds, text) => {
  expect(timeLeft(seconds)).toBe(text);
});
