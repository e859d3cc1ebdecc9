/**
 * The main job, run as `npm start` runs it: the compiled program in a process of its own, in a directory of its own.
 */

import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { NetworkMemory } from 'cgfac';
import { PNG } from 'pngjs';
import { buildExamples, programFile, startProgram } from '../support/programs';

const PROGRAM = programFile('autoencoder.js');
const MINUTE = 60_000;

interface Evaluation {
  readonly step: number;
  readonly loss: number;
  readonly train: number;
  readonly heldOut: number;
  readonly squaredError: number;
  readonly seconds: number;
  readonly averaged: boolean;
}

interface Run {
  readonly optimizer: string;
  readonly network: string;
  readonly seed: number;
  readonly steps: number;
  readonly msPerStep: number;
  readonly weightBytes: number;
  readonly evaluations: readonly Evaluation[];
  readonly preconditioner?: { readonly share: number; readonly memory: NetworkMemory };
}

let directory = '';

const start = (...args: string[]) => startProgram('autoencoder.js', args, directory);

function runs(file: string): readonly Run[] {
  return JSON.parse(readFileSync(join(directory, file), 'utf8')).runs;
}

/** The one run of a report. */
function runOf(file: string): Run {
  const [run, ...others] = runs(file);
  if (!run || others.length > 0) throw new Error(`${file} holds ${others.length + (run ? 1 : 0)} runs`);
  return run;
}

function evaluationAt(step: number, run: Run, averaged = false): Evaluation {
  const found = run.evaluations.find((evaluation) => evaluation.step === step && evaluation.averaged === averaged);
  if (!found) throw new Error(`${run.optimizer} has no evaluation at step ${step}`);
  return found;
}

/** The mean squared difference between two rows of the picture of the digits. */
function rowDifference(png: PNG, rowsOfDigits: number, a: number, b: number): number {
  const height = Math.floor(png.height / rowsOfDigits);
  let sum = 0;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < png.width; x++) {
      const grey = (row: number) => png.data[4 * ((row * height + y) * png.width + x)] ?? Number.NaN;
      sum += ((grey(a) - grey(b)) / 255) ** 2;
    }
  }
  return sum / (height * png.width);
}

beforeAll(buildExamples, MINUTE);

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'cgfac-autoencoder-'));
});

afterEach(() => rmSync(directory, { recursive: true }));

test(
  'trains with cgfac, its CG-FAC and Adam, compares them, and writes what it says',
  () => {
    const { status, stdout, stderr } = start('--small', '--json', 'report.json');
    expect({ status, stderr }).toMatchObject({
      status: 0,
      stderr: expect.stringMatching(/^(cgfac|cg|adam) .*step 50\/50 .*loss 0\.\d{4} .*ms\/step$/m),
    });
    const [cgfac, cg, adam, ...others] = runs('report.json');
    if (!cgfac || !cg || !adam) throw new Error('a run is missing');
    expect(others).toEqual([]);
    for (const [run, optimizer] of [[cgfac, 'cgfac'] as const, [cg, 'cg'] as const, [adam, 'adam'] as const]) {
      expect(run).toMatchObject({ optimizer, network: 'small', seed: 1, steps: 50 });
      const raw = run.evaluations.filter(({ averaged }) => !averaged);
      expect(raw.map(({ step }) => step)).toEqual([5, 10, 15, 20, 25, 30, 35, 40, 45, 50]);
      expect(run.evaluations.slice(raw.length).map(({ step }) => step)).toEqual(optimizer === 'adam' ? [] : [50]);
      const seconds = run.evaluations.map((evaluation) => evaluation.seconds);
      expect(seconds).toEqual([...seconds].sort((a, b) => a - b));
      // A median of 50 steps is at most twice their mean.
      expect(run.msPerStep).toBeGreaterThan(0);
      expect(run.msPerStep).toBeLessThanOrEqual((2 * 1000 * (seconds.at(-1) ?? 0)) / 50);
      for (const { loss, train, heldOut, squaredError } of run.evaluations) {
        expect(train).toBeCloseTo(784 * loss, 9);
        expect(Math.abs(heldOut - train)).toBeLessThan(0.15 * train);
        expect(squaredError).toBeGreaterThan(0);
      }
    }
    // Seed 1 gives 113, 96.6 and 86.0; 109; 190. Adam stays on the plateau of mean digits, above 180, at every rate
    // tried.
    const at = (step: number, run: Run) => evaluationAt(step, run).train;
    expect(at(10, cgfac)).toBeLessThan(125);
    expect(at(25, cgfac)).toBeLessThan(104);
    expect(at(50, cgfac)).toBeLessThan(92);
    expect(evaluationAt(50, cgfac).heldOut).toBeLessThan(98);
    expect(at(50, cg)).toBeLessThan(125);
    expect(at(50, adam)).toBeGreaterThan(180);
    expect(at(50, adam)).toBeLessThan(205);

    for (const run of [cgfac, cg, adam]) {
      const row = stdout.split('\n').find((line) => line.startsWith(`${run.optimizer} `));
      const cells = [10, 25, 50].flatMap((step) => {
        const { train, heldOut, squaredError } = evaluationAt(step, run);
        return [train, heldOut, squaredError].map((value) => value.toFixed(1));
      });
      expect(row?.trim().split(/ +/)).toEqual([run.optimizer, run.msPerStep.toFixed(0), ...cells]);
    }
    expect(stdout).toMatch(/^ +step 10 +step 25 +step 50$/m);
    expect(stdout).toContain("\ncgfac:\n  preset 'adaptive'");
    expect(stdout).toContain('\ncg:\n  ');
    expect(stdout).toContain('out/autoencoder.png');
    const png = PNG.sync.read(readFileSync(join(directory, 'out/autoencoder.png')));
    expect(rowDifference(png, 4, 0, 1)).toBeGreaterThan(0);
    expect(rowDifference(png, 4, 0, 1)).toBeLessThan(rowDifference(png, 4, 0, 3));
  },
  5 * MINUTE,
);

test(
  'trains the deep autoencoder unless told otherwise, and tells what preconditioning cost',
  () => {
    const { status, stdout } = start('--optimizer', 'cgfac', '--steps', '2', '--json', 'report.json');
    expect(status).toBe(0);
    expect(stdout).toContain('784-1000-500-250-30-250-500-1000-784, 2 steps');
    const run = runOf('report.json');
    const weights = [785 * 1000, 1001 * 500, 501 * 250, 251 * 30, 31 * 250, 251 * 500, 501 * 1000, 1001 * 784].reduce(
      (a, b) => a + b,
    );
    expect(run).toMatchObject({ network: 'deep', weightBytes: 4 * weights });
    expect(evaluationAt(2, run).train).toBeLessThan(400); // 543 = 784 ln 2 before the first step
    const { preconditioner } = run;
    if (preconditioner === undefined) throw new Error('no preconditioner was told of');
    const { share, memory } = preconditioner;
    expect(share).toBeGreaterThan(0);
    expect(share).toBeLessThan(1);
    const { total, layers, ...parts } = memory;
    expect(Object.values(parts).reduce((a, b) => a + b, 0)).toBe(total);
    expect(layers).toHaveLength(8);
    expect(memory).toMatchObject({ momentum: 4 * weights, averages: 4 * weights });
    expect(stdout).toMatch(
      /% of a step \(median\) is the preconditioner's own; it keeps \d+\.\d MB beside 11\.3 MB of weights/,
    );
  },
  MINUTE,
);

test.each(['momentum', 'adagrad', 'rmsprop', 'kfac'])(
  'trains with %s',
  (optimizer) => {
    const { status, stdout } = start('--small', '--optimizer', optimizer, '--steps', '4', '--json', 'report.json');
    expect(status).toBe(0);
    expect(stdout).toMatch(new RegExp(`^${optimizer} `, 'm'));
    const run = runOf('report.json');
    expect(run).toMatchObject({ optimizer, steps: 4 });
    expect(evaluationAt(4, run).train).toBeLessThan(542); // 543 = 784 ln 2 before the first step
  },
  MINUTE,
);

test(
  'evaluates after the last step of a run of any length',
  () => {
    const { status, stdout } = start(
      '--small',
      '--optimizer',
      'sgd',
      '--steps',
      '7',
      '--seed',
      '5',
      '--json',
      'report.json',
    );
    expect(status).toBe(0);
    const run = runOf('report.json');
    expect(run).toMatchObject({ optimizer: 'sgd', seed: 5, steps: 7 });
    expect(run.evaluations.map(({ step, averaged }) => [step, averaged])).toEqual([
      [5, false],
      [7, false],
    ]);
    expect(stdout).toMatch(/^ +step 7$/m);
    expect(stdout).not.toMatch(/^(cgfac|cg|adam)/m);
  },
  MINUTE,
);

test('shows its options', () => {
  const { status, stdout } = start('--help');
  expect(status).toBe(0);
  for (const option of ['--steps', '--optimizer', '--seed', '--small', '--json', '--help'])
    expect(stdout).toContain(option);
});

test.each([
  [['--steps', '0'], "option '--steps <n>' argument '0' is invalid. Expected an integer from 1"],
  [['--steps', '2.5'], 'Expected an integer'],
  [['--steps', 'many'], 'Expected an integer'],
  [['--steps'], "option '--steps <n>' argument missing"],
  [['--seed', '-1'], 'Expected an integer from 0'],
  [['--optimizer', 'lbfgs'], 'Allowed choices are sgd, momentum, adagrad, rmsprop, adam, kfac, cg, cgfac'],
  [['--json', 'no/such/directory/report.json'], 'cannot be written'],
  [['--json', '.'], 'It is a directory'],
  [['--step', '5'], "unknown option '--step'"],
  [['fast'], 'too many arguments'],
])('refuses %j', (args, message) => {
  const { status, stdout, stderr } = start(...args);
  expect({ status, stdout, stderr }).toMatchObject({ status: 1, stdout: '', stderr: expect.stringContaining(message) });
  expect(existsSync(join(directory, 'out'))).toBe(false);
});

describe('on a terminal', () => {
  /**
   * Runs the program on a pseudo-terminal of util-linux's script; `interrupt` presses Ctrl-C when a step has been
   * shown.
   */
  function onTerminal(args: string, interrupt: boolean): Promise<{ code: number | null; output: string }> {
    return new Promise((done, fail) => {
      const child = spawn(
        'script',
        ['--quiet', '--return', '--command', `"${process.execPath}" "${PROGRAM}" ${args}`, '/dev/null'],
        {
          cwd: directory,
        },
      );
      let output = '';
      let pressed = false;
      child.stdout.on('data', (data: Buffer) => {
        output += data.toString();
        if (interrupt && !pressed && /step [1-9]\d*\//.test(output)) {
          pressed = true;
          child.stdin.write('\x03');
        }
      });
      child.on('error', fail);
      child.on('close', (code) => done({ code, output }));
    });
  }

  const HIDE_CURSOR = '\x1b[?25l';
  const SHOW_CURSOR = '\x1b[?25h';

  test(
    'draws a bar and gives the cursor back',
    async () => {
      const { code, output } = await onTerminal('--small --optimizer adam --steps 3', false);
      expect(code).toBe(0);
      expect(output).toMatch(/adam +\[=+\] step 3\/3 +loss 0\.\d{4} +\d+ ms\/step +0 s left/);
      expect(output).toContain(HIDE_CURSOR);
      expect(output.lastIndexOf(SHOW_CURSOR)).toBeGreaterThan(output.lastIndexOf(HIDE_CURSOR));
    },
    MINUTE,
  );

  test(
    'ends cleanly on Ctrl-C',
    async () => {
      const { code, output } = await onTerminal('--small --steps 1000 --json report.json', true);
      expect(code).toBe(130);
      expect(output.trimEnd()).toMatch(/Stopped\.$/);
      expect(output.lastIndexOf(SHOW_CURSOR)).toBeGreaterThan(output.lastIndexOf(HIDE_CURSOR));
      expect(existsSync(join(directory, 'report.json'))).toBe(false);
    },
    MINUTE,
  );
});
