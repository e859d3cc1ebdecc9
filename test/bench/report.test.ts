import { contenders } from '../../bench/suites/training/contenders';
import type { Program } from '../../bench/suites/training/programs/making';
import { closing, markdownReport, shown, taskText } from '../../bench/suites/training/report';
import { run } from './runs';

const program: Program = {
  name: 'some-task',
  about: 'a task of a test',
  told: [10, 25],
  cost: 1,
  make: () => {
    throw new Error('no test makes it');
  },
};
const runs = [run('cgfac', 1, [2, 5]), run('adam 0.01', 1, [4, 4]), run('sgd 0.3', 1, [3, null])];

test('a terminal has who won at each step, beside every contender', () => {
  const text = taskText({ program, runs }, contenders);
  expect(text).toMatch(/^some-task: a task of a test$/m);
  expect(text).toMatch(/^ {2}10 +2\.00 +4\.00 +3\.00 +won by 50 % +2\.00 +4\.00 +3\.00 +won by 50 %$/m);
  expect(text).toMatch(/^ {2}25 +5\.00 +4\.00 +not finite +LOST by 25 % +5\.00 +4\.00 +not finite +LOST by 25 %$/m);
});

test('SGD that was not asked for is no SGD that diverged', () => {
  const text = taskText({ program, runs: runs.slice(0, 2) }, contenders);
  expect(text).toMatch(/^ {2}25 +5\.00 +4\.00 +not run +LOST by 25 %/m);
});

test('a document has a row for a task, with an asterisk where it is behind', () => {
  expect(markdownReport([{ program, runs }], contenders)).toContain('| some-task | 2.00 / 4.00 | 5.00 / 4.00 * |');
});

test('a task that was not run is named, with the reason', () => {
  const missing = { program, runs: [], unavailable: 'its data are not here' };
  expect(taskText(missing, contenders)).toContain('NOT RUN: its data are not here');
  expect(closing([missing], contenders)).toEqual(['not run: some-task']);
  expect(markdownReport([missing], contenders)).toContain('not run: some-task');
});

test('runs that failed or diverged are named', () => {
  const bad = [
    run('cgfac', 1, [2, 12], { diverged: 'ended at 12.0, above its start 9.00' }),
    run('cg', 1, [], { failed: 'some error' }),
  ];
  expect(taskText({ program, runs: bad }, contenders)).toContain('FAILED: cg, seed 1: some error');
  expect(closing([{ program, runs: bad }], contenders)).toEqual([
    '1 of 1 runs of cgfac() diverged: some-task cgfac seed 1',
    'failed: some-task cg seed 1',
  ]);
});

test('figures have three digits', () => {
  expect([0.012345, 1234.5, 0.00001234, -0.5, 0, Number.NaN].map(shown)).toEqual([
    '0.0123',
    '1235',
    '1.23e-5',
    '-0.500',
    '0.00',
    'not finite',
  ]);
});
