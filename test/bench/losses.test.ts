import { lossOutcome } from '../../bench/check/losses';
import { run } from './runs';

const passed = (loss: number | null, before: number) =>
  lossOutcome(run('cgfac', 1, [null, loss]), { train: before, heldOut: before }).map((outcome) => outcome.passed);

test('a loss passes up to 5 % above the one that is stored, on either side of 0', () => {
  expect(passed(1.04, 1)).toEqual([true, true]);
  expect(passed(1.06, 1)).toEqual([false, false]);
  expect(passed(-0.96, -1)).toEqual([true, true]);
  expect(passed(-0.94, -1)).toEqual([false, false]);
});

test('a loss that is not finite, or that nothing is stored for, fails', () => {
  expect(passed(null, 1)).toEqual([false, false]);
  expect(lossOutcome(run('cgfac', 1, [1, 1]), undefined).map((outcome) => outcome.passed)).toEqual([false, false]);
});

test('a run that diverged or failed fails whatever its losses are, and says why', () => {
  const [outcome] = lossOutcome(run('cgfac', 1, [1, 1], { failed: 'some error' }), { train: 9, heldOut: 9 });
  expect(outcome).toMatchObject({ passed: false, figures: 'some error' });
});
