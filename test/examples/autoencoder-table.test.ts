import type { Evaluation, Run } from '../../examples/autoencoder/run';
import { costText, errorTable } from '../../examples/autoencoder/table';

const evaluation = (step: number, train: number, averaged = false): Evaluation => ({
  step,
  loss: train / 784,
  train,
  heldOut: train + 4,
  squaredError: train / 10,
  seconds: step * 0.3,
  averaged,
});

const run = (optimizer: Run['optimizer'], steps: number, evaluations: readonly Evaluation[]): Run => ({
  optimizer,
  network: 'deep',
  seed: 1,
  steps,
  msPerStep: 312.4,
  evaluations,
  weightBytes: 11_349_256,
});

const memory = {
  recorded: 13_252_608,
  factors: 23_374_832,
  workspace: 15_178_512,
  momentum: 11_349_256,
  averages: 0,
  total: 63_155_208,
  layers: [],
};

test('a column for steps 10, 25 and 50, and a line for averaged weights', () => {
  const raw = [5, 10, 25, 45, 50].map((step) => evaluation(step, 120 - step));
  const table = errorTable([run('cgfac', 50, [...raw, evaluation(50, 69.96, true)]), run('adam', 50, raw)]);
  expect(table).toBe(
    [
      '                               step 10             step 25             step 50',
      'optimizer  ms/step  train   held   sq.  train   held   sq.  train   held   sq.',
      'cgfac          312  110.0  114.0  11.0   95.0   99.0   9.5   70.0   74.0   7.0',
      '  averaged                                                   70.0   74.0   7.0',
      'adam           312  110.0  114.0  11.0   95.0   99.0   9.5   70.0   74.0   7.0',
    ].join('\n'),
  );
});

test('a longer run has a fourth column for its last step and still fits 100 characters', () => {
  const lines = errorTable([
    run(
      'momentum',
      1000,
      [10, 25, 50, 75, 1000].map((step) => evaluation(step, 540)),
    ),
  ]).split('\n');
  expect(lines[0]?.match(/step \d+/g)).toEqual(['step 10', 'step 25', 'step 50', 'step 1000']);
  expect(lines[2]).toBe(`momentum       312${'  540.0  544.0  54.0'.repeat(4)}`);
  expect(Math.max(...lines.map(({ length }) => length))).toBeLessThanOrEqual(100);
});

test('a shorter run has a column for its last step', () => {
  const table = errorTable([run('sgd', 7, [evaluation(5, 300), evaluation(7, 290)])]);
  expect(table.split('\n')).toEqual([
    '                                step 7',
    'optimizer  ms/step  train   held   sq.',
    'sgd            312  290.0  294.0  29.0',
  ]);
});

test('tells what the preconditioner is and keeps, where there is one', () => {
  expect(costText(run('adam', 50, []))).toBeUndefined();
  const recipe =
    "preset 'safe', exact with factored damping (1 × mean eigenvalue), polyak steps, " +
    'running averages by 128 directions';
  const text = costText({ ...run('cgfac', 50, []), preconditioner: { recipe, share: 0.384, memory } });
  expect(text?.split('\n')).toEqual([
    'cgfac:',
    "  preset 'safe', exact with factored damping (1 × mean eigenvalue), polyak steps,",
    '  running averages by 128 directions',
    "  38 % of a step (median) is the preconditioner's own; it keeps 63.2 MB beside 11.3 MB of weights:",
    '  momentum 11.3 MB, averages 0.0 MB, factors 23.4 MB, recorded 13.3 MB, workspace 15.2 MB',
  ]);
});
