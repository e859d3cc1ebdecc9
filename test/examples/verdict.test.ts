import type { Outcome } from '../../examples/shared/side-by-side';
import { epochLine, verdict } from '../../examples/shared/verdict';

const PER_EPOCH = 10;

/** A run whose errors after each epoch are these per cents, ten seconds apart. */
const outcome = (name: string, stepMilliseconds: number, errors: readonly number[]): Outcome => ({
  name,
  stepMilliseconds,
  evaluations: errors.map((error, i) => ({
    step: PER_EPOCH * (i + 1),
    loss: 1,
    accuracy: 1 - error / 100,
    seconds: 10 * (i + 1),
  })),
});

const adam = outcome('adam', 100, [20, 12.5, 13]);

test('cgfac ahead: the first epoch with errors as few as the fewest of Adam counts', () => {
  expect(verdict([outcome('cgfac', 140, [12, 11, 10]), adam], PER_EPOCH)).toBe(
    'cgfac had 12.00 % errors after 1 epoch and 10.0 s, adam no fewer than 12.50 % errors after 2 epochs and 20.0 s. ' +
      'A step took 1.40 × as long.',
  );
});

test('cgfac behind: its fewest errors are told beside those of Adam', () => {
  expect(verdict([outcome('cgfac', 140, [16, 14, 15]), adam], PER_EPOCH)).toBe(
    'cgfac had no fewer than 14.00 % errors after 2 epochs and 20.0 s, adam 12.50 % errors after 2 epochs and ' +
      '20.0 s. A step took 1.40 × as long.',
  );
});

test('a line of an epoch has the errors and the seconds of each', () => {
  const evaluations = [outcome('cgfac', 1, [12]), adam].flatMap((run) => run.evaluations.slice(0, 1));
  expect(epochLine(1, ['cgfac', 'adam'], evaluations)).toBe(
    'epoch 1:  cgfac 12.00 % errors, 10.0 s;  adam 20.00 % errors, 10.0 s',
  );
});
