/** The programs that are compared by losses run compiled, in processes of their own. */
import { lossLine, lossVerdict } from '../../examples/shared/loss-verdict';
import type { Evaluation, Outcome } from '../../examples/shared/side-by-side';
import { buildExamples, startProgram } from '../support/programs';

const MINUTE = 60_000;

const evaluation = (step: number, loss: number): Evaluation => ({ step, loss, accuracy: 0, seconds: step });
const outcome = (name: string, losses: readonly number[], stepMilliseconds: number): Outcome => ({
  name,
  stepMilliseconds,
  evaluations: losses.map((loss, place) => evaluation(25 * (place + 1), loss)),
});

test('a line has the step and the loss of each', () => {
  expect(lossLine(['cgfac', 'adam'], [evaluation(25, 0.12345), evaluation(25, 6)])).toBe(
    'step 25:  cgfac 0.123;  adam 6.00',
  );
});

test('the verdict tells when the last loss of the other was reached, or that it was not', () => {
  const adam = outcome('adam', [5, 2], 10);
  expect(lossVerdict([outcome('cgfac', [3, 2, 1], 15), adam])).toBe(
    'cgfac ended at 1.00, adam at 2.00; cgfac was there after 50 steps. A step took 1.50 × as long.',
  );
  expect(lossVerdict([outcome('cgfac', [3, 2.5], 15), adam])).toContain('cgfac did not come to the last loss of adam');
});

describe('the programs', () => {
  beforeAll(buildExamples, MINUTE);

  test.each([
    ['regression.js', ['--steps', '60'], 'Regression 10-64-64-1: 2048 samples'],
    ['recurrent.js', ['--cell', 'lstm', '--units', '8', '--steps', '25'], 'Addition by an LSTM of 8: 25 steps'],
  ])(
    '%s trains, and its last line says what happened; cgfac is ahead',
    (program, args, head) => {
      const { status, stdout, stderr } = startProgram(program, args);
      expect({ status, stderr }).toMatchObject({
        status: 0,
        stderr: expect.stringMatching(/^cgfac, adam step \d0\/\d+ +loss [\d.]+ .*ms\/step$/m),
      });
      expect(stdout).toContain(head);
      const last = stdout.trimEnd().split('\n').at(-1);
      expect(last).toMatch(/^cgfac ended at [\d.e-]+, adam at [\d.e-]+; .* A step took \d+\.\d\d × as long\.$/);
      const [, own, adam] = /at ([\d.e-]+), adam at ([\d.e-]+)/.exec(last ?? '') ?? [];
      expect(Number(own)).toBeLessThan(Number(adam));
    },
    MINUTE,
  );

  test('an option that is out of range is refused', () => {
    const { status, stderr } = startProgram('recurrent.js', ['--units', '0']);
    expect({ status, stderr }).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('Expected an integer from 1'),
    });
  });
});
