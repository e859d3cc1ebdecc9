/** The program is run compiled, in a process of its own, in a directory of its own. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadFashion, parseIdx } from '../../datasets/fashion';
import { PIXELS } from '../../datasets/pictures';
import { batchOf, loadData } from '../../examples/classifier/data';
import { idx, writeFashion } from '../support/fashion';
import { buildExamples, startProgram } from '../support/programs';

const MINUTE = 60_000;

interface Report {
  readonly runs: readonly {
    readonly optimizer: string;
    readonly data: string;
    readonly seed: number;
    readonly steps: number;
    readonly evaluations: readonly {
      readonly step: number;
      readonly loss: number;
      readonly accuracy: number;
      readonly seconds: number;
    }[];
  }[];
}

let directory = '';

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'cgfac-classifier-'));
});

afterEach(() => rmSync(directory, { recursive: true }));

describe('the data', () => {
  test('IDX files give sizes and elements', () => {
    const { sizes, elements } = parseIdx(idx([2, 3], [1, 2, 3, 4, 5, 255]));
    expect(sizes).toEqual([2, 3]);
    expect([...elements]).toEqual([1, 2, 3, 4, 5, 255]);
  });

  test.each([
    ['nothing', Buffer.alloc(0), 'no IDX file'],
    ['text', Buffer.from('<!DOCTYPE html>'), 'no IDX file'],
    ['a file that ends early', idx([2, 3], [1, 2]), 'holds 2 elements; 6 are announced'],
    ['sizes that are missing', Buffer.from([0, 0, 8, 3, 0]), 'no IDX file'],
  ])('%s is refused', (_, file, message) => {
    expect(() => parseIdx(file)).toThrow(message);
  });

  test('fashion images are divided by 255 and come with their labels', () => {
    writeFashion(directory, 6);
    const { training, heldOut } = loadFashion(directory);
    expect([...training.labels]).toEqual([0, 1, 2, 3, 4, 5]);
    expect([...training.pixels.subarray(3 * PIXELS, 3 * PIXELS + 2)]).toEqual([Math.fround(0.6), Math.fround(0.6)]);
    expect([...heldOut.labels]).toEqual([5]);
    expect(heldOut.pixels).toHaveLength(PIXELS);
  });

  test('a folder without the files is refused', () => {
    expect(() => loadFashion(directory)).toThrow(`The four files of the fashion images are not in ${directory}.`);
  });

  test('digits: 35 batches, of 256 each, begin again; the last 1,000 digits are none of them', () => {
    const { training, heldOut } = loadData('digits');
    expect(training.labels).toHaveLength(8960);
    expect(heldOut.labels).toHaveLength(1000);
    expect(heldOut.pixels.byteOffset).toBeGreaterThanOrEqual(training.pixels.byteOffset + training.pixels.byteLength);
    expect(batchOf(training, 35).labels).toEqual(batchOf(training, 0).labels);
    expect(batchOf(training, 34).labels).toHaveLength(256);
  });

  test('the last batch of an epoch may be a short one', () => {
    writeFashion(directory, 300);
    const { training } = loadFashion(directory);
    expect(batchOf(training, 1).labels).toHaveLength(44);
    expect(batchOf(training, 1).pixels).toHaveLength(44 * PIXELS);
    expect(batchOf(training, 2).labels).toHaveLength(256);
  });
});

describe('the program', () => {
  beforeAll(buildExamples, MINUTE);

  const start = (...args: string[]) => startProgram('classifier.js', args, directory);
  const report = (): Report => JSON.parse(readFileSync(join(directory, 'report.json'), 'utf8'));

  test(
    'trains with cgfac and with Adam, and shows them in one table; cgfac is ahead after 25 steps',
    () => {
      const { status, stdout, stderr } = start('--steps', '25', '--json', 'report.json');
      expect({ status, stderr }).toMatchObject({
        status: 0,
        stderr: expect.stringMatching(/^cgfac, adam step 20\/25 +loss 0\.\d{4} .*ms\/step$/m),
      });
      const { runs } = report();
      expect(runs).toMatchObject([
        { optimizer: 'cgfac', data: 'digits', seed: 1, steps: 25, evaluations: [{ step: 25 }] },
        { optimizer: 'adam', data: 'digits', seed: 1, steps: 25, evaluations: [{ step: 25 }] },
      ]);
      const [cgfac, adam] = runs.map(({ evaluations }) => evaluations[0]?.loss ?? Number.NaN);
      expect(cgfac).toBeLessThan(adam ?? Number.NaN);
      expect(stdout).toMatch(new RegExp(`^ +25 +${cgfac?.toFixed(4)} .* ${adam?.toFixed(4)} `, 'm'));
      expect(stdout).toMatch(/^Median step: cgfac \d+ ms, adam \d+ ms: \d\.\d\d ×$/m);
    },
    2 * MINUTE,
  );

  test(
    'trains on the fashion images of a folder, by epochs',
    () => {
      const folder = join(directory, 'images');
      mkdirSync(folder);
      writeFashion(folder, 300);
      const { status, stderr } = start(
        ...['--data', 'fashion', '--folder', folder, '--epochs', '3', '--optimizer', 'cgfac', '--json', 'report.json'],
      );
      expect({ status, stderr }).toMatchObject({ status: 0 });
      const [run, ...others] = report().runs;
      expect(others).toEqual([]);
      expect(run).toMatchObject({
        optimizer: 'cgfac',
        data: 'fashion',
        steps: 6,
        evaluations: [{ step: 2 }, { step: 4 }, { step: 6 }],
      });
    },
    MINUTE,
  );

  test.each([
    [['--data', 'letters'], 'Allowed choices are digits, fashion'],
    [['--steps', '5', '--epochs', '1'], "option '--epochs <n>' cannot be used with option '--steps <n>'"],
    [['--steps', '0'], 'Expected an integer from 1'],
    [['--optimizer', 'sgd'], 'Allowed choices are cgfac, adam'],
  ])('refuses %j', (args, message) => {
    expect(start(...args)).toMatchObject({ status: 1, stdout: '', stderr: expect.stringContaining(message) });
  });

  test('says which files it misses', () => {
    const { status, stderr } = start('--data', 'fashion', '--folder', '.');
    expect({ status, stderr }).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('The four files of the fashion images are not in .'),
    });
  });
});
