/** The program is run compiled, in a process of its own. */
import { buildExamples, startProgram } from '../support/programs';

const MINUTE = 60_000;

beforeAll(buildExamples, MINUTE);

const start = (...args: string[]) => startProgram('text.js', args);

/** The errors that cgfac has after each epoch, in per cent. */
const errors = (stdout: string) =>
  [...stdout.matchAll(/^epoch \d+: {2}cgfac (\S+) %/gm)].map(([, error]) => Number(error));

test(
  'a convolution over words learns what reviews mean, and a negation turns a sentence around',
  () => {
    const { status, stdout, stderr } = start('--epochs', '2', '--reviews', '2048');
    expect({ status, stderr }).toMatchObject({
      status: 0,
      stderr: expect.stringMatching(/^cgfac, adam step 32\/32 +loss \d\.\d{4} .*ms\/step$/m),
    });
    expect(errors(stdout)).toHaveLength(2);
    expect(errors(stdout)[1]).toBeLessThan(20);
    const good = (words: string) => Number(new RegExp(`${words}.*": good, cgfac (\\S+),`).exec(stdout)?.[1]);
    expect(good('plot was good and')).toBeGreaterThan(0.8);
    expect(good('plot was not good and')).toBeLessThan(0.5);
    expect(stdout).toMatch(
      /\nHeld out, with averaged weights: cgfac had .* adam .* A step took \d\.\d\d × as long\.\n$/,
    );
  },
  2 * MINUTE,
);

test.each(['mean', 'lstm'])(
  'the other models train: %s',
  (model) => {
    const { status, stdout } = start('--model', model, '--epochs', '1', '--reviews', '400');
    expect({ status, stdout }).toEqual({
      status: 0,
      stdout: expect.stringMatching(new RegExp(`^Model of text \\(${model}\\): 400 reviews .*\nepoch 1: `)),
    });
    expect(errors(stdout)).toHaveLength(1);
  },
  2 * MINUTE,
);

test.each([
  [['--model', 'transformer'], 'Allowed choices are mean, convolution, lstm'],
  [['--reviews', '0'], 'Expected an integer from 1'],
])('refuses %j', (args, message) => {
  expect(start(...args)).toMatchObject({ status: 1, stdout: '', stderr: expect.stringContaining(message) });
});
