import { contenders } from '../../bench/suites/training/contenders';
import { cells, changes, comparable, meanLoss, summary, words } from '../../bench/suites/training/verdicts';
import { run } from './runs';

const own = [run('cgfac', 1, [2, 1]), run('cgfac', 2, [4, 3])];
const adams = [
  run('adam 0.001', 1, [8, 1]),
  run('adam 0.001', 2, [8, 1]),
  run('adam 0.01', 1, [5, 4]),
  run('adam 0.01', 2, [7, 4]),
];

const cell = (runs: Parameters<typeof cells>[0], step: number, part: 'train' | 'heldOut') => {
  const found = cells(runs, contenders).find((each) => each.step === step && each.part === part);
  if (found === undefined) throw new Error('no such cell');
  return found;
};

test('the mean of the seeds counts, against the best rate at each step', () => {
  expect(cell([...own, ...adams], 10, 'train')).toMatchObject({ own: 3, adam: 6, percent: -50, won: true });
  expect(cell([...own, ...adams], 25, 'train')).toMatchObject({ own: 2, adam: 1, percent: 100, won: false });
});

test('held out, Adam has the better of its weights and their averages, and cgfac() the averages', () => {
  const told = [{ step: 10, train: 1, heldOut: 2, averaged: 5 }];
  const [ours, theirs] = [run('cgfac', 1, [], { told }), run('adam 0.01', 1, [], { told })];
  expect(cell([ours, theirs], 10, 'heldOut')).toMatchObject({ own: 5, adam: 2, won: false });
  expect(meanLoss([theirs], 10, 'train', 'better')).toBe(1);
});

test('a seed that is not finite leaves no mean: it cannot win, and a rate with one is not the best', () => {
  const lost = cell([run('cgfac', 1, [null]), run('cgfac', 2, [1]), ...adams], 10, 'train');
  expect(lost.won).toBe(false);
  expect(words(lost)).toBe('LOST, not finite');
  const rate = [run('adam 0.003', 1, [0.1]), run('adam 0.003', 2, [null])];
  expect(cell([...own, ...adams, ...rate], 10, 'train').adam).toBe(6);
  const alone = cell([...own, ...rate], 10, 'train');
  expect(alone.won).toBe(true);
  expect(words(alone)).toBe('won, Adam is not finite');
});

test('losses below 0 are compared by their size', () => {
  const below = cell([run('cgfac', 1, [-3]), run('adam 0.01', 1, [-2])], 10, 'train');
  expect(below).toMatchObject({ percent: -50, won: true });
  expect(words(below)).toBe('won by 50 %');
});

test('the summary counts the cells and names those that are lost', () => {
  expect(summary(cells([...own, ...adams], contenders))).toBe(
    'cgfac() won 2 of 4 cells against the best Adam; lost: some-task @25 training, some-task @25 held out',
  );
  expect(comparable(own, contenders)).toBe(false);
  expect(comparable([...own, ...adams], contenders)).toBe(true);
});

test('a change is told with the seeds that diverged and its last losses beside those without it', () => {
  const changed = [run('rho/3', 1, [3, 3]), run('rho/3', 2, [3, 5], { diverged: 'step 3 was not finite' })];
  const [, found] = changes([...own, ...changed], contenders);
  expect(found).toMatchObject({ contender: 'rho/3', train: 2, diverged: ['seed 2: step 3 was not finite'] });
});
