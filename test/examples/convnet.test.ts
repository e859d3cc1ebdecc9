/** The program is run compiled, in a process of its own, on images that are made up. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeFashion } from '../support/fashion';
import { buildExamples, startProgram } from '../support/programs';

const MINUTE = 60_000;

let directory = '';

beforeAll(() => {
  buildExamples();
  directory = mkdtempSync(join(tmpdir(), 'cgfac-convnet-'));
  writeFashion(directory, 300);
}, MINUTE);

afterAll(() => rmSync(directory, { recursive: true }));

const start = (...args: string[]) => startProgram('convnet.js', ['--folder', directory, ...args]);

test.each([
  ['', []],
  [' with batch normalisation', ['--batchnorm']],
])(
  'a network%s trains with cgfac and with Adam, and both are told of after each epoch',
  (about, args) => {
    const { status, stdout, stderr } = start('--epochs', '2', '--images', '260', ...args);
    expect({ status, stderr }).toMatchObject({
      status: 0,
      stderr: expect.stringMatching(/^cgfac, adam step 6\/6 +loss \d\.\d{4} .*ms\/step$/m),
    });
    const number = String.raw`\d+\.\d+`;
    expect(stdout.trimEnd().split('\n')).toEqual([
      expect.stringMatching(
        `^Convolutional network 16-32-64-64-10${about}: 260 fashion images for training, 1 held out; 3 steps of 128`,
      ),
      ...[1, 2].map((epoch) =>
        expect.stringMatching(
          `^epoch ${epoch}:  cgfac ${number} % errors, ${number} s;  adam ${number} % errors, ${number} s$`,
        ),
      ),
      expect.stringMatching(/^Held out, with averaged weights: cgfac had .* adam .* A step took \d\.\d\d × as long\.$/),
    ]);
  },
  2 * MINUTE,
);

test.each([
  [['--images', '0'], 'Expected an integer from 1'],
  [['--epochs', 'two'], 'Expected an integer from 1'],
])('refuses %j', (args, message) => {
  expect(start(...args)).toMatchObject({ status: 1, stdout: '', stderr: expect.stringContaining(message) });
});
