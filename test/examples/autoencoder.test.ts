/** The main job, run as `npm start` runs it: the compiled program in a process of its own, in a directory of its own. */
import { execFile, type SpawnSyncReturns, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { PNG } from 'pngjs';

const ROOT = resolve(__dirname, '../..');
const PROGRAM = join(ROOT, 'dist/examples/autoencoder.js');
const MINUTE = 60_000;

interface Evaluation {
  readonly step: number;
  readonly loss: number;
  readonly seconds: number;
}

interface Report {
  readonly runs: readonly { optimizer: string; seed: number; steps: number; evaluations: readonly Evaluation[] }[];
}

let directory = '';

function start(...args: string[]): SpawnSyncReturns<string> {
  const result = spawnSync(process.execPath, [PROGRAM, ...args], { cwd: directory, encoding: 'utf8' });
  if (result.error) throw result.error;
  return result;
}

function report(file: string): Report {
  return JSON.parse(readFileSync(join(directory, file), 'utf8'));
}

function lossAt(step: number, evaluations: readonly Evaluation[] | undefined): number {
  return evaluations?.find((evaluation) => evaluation.step === step)?.loss ?? Number.NaN;
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

beforeAll(() => {
  const { status, stdout } = spawnSync(
    process.execPath,
    [join(ROOT, 'node_modules/typescript/bin/tsc'), '--build', 'tsconfig.examples.json'],
    {
      cwd: ROOT,
      encoding: 'utf8',
    },
  );
  if (status !== 0) throw new Error(stdout);
}, MINUTE);

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'cgfac-autoencoder-'));
});

afterEach(() => rmSync(directory, { recursive: true }));

test(
  'trains with cgfac and with Adam, compares them, and writes what it says',
  () => {
    const { status, stdout, stderr } = start('--json', 'report.json');
    expect({ status, stderr }).toMatchObject({
      status: 0,
      stderr: expect.stringMatching(/^(cgfac|adam) .*step 50\/50 .*loss 0\.\d{4} .*ms\/step$/m),
    });
    const [cgfac, adam, ...others] = report('report.json').runs;
    expect(others).toEqual([]);
    for (const [run, optimizer] of [[cgfac, 'cgfac'] as const, [adam, 'adam'] as const]) {
      expect(run).toMatchObject({ optimizer, seed: 1, steps: 50 });
      expect(run?.evaluations.map(({ step }) => step)).toEqual([5, 10, 15, 20, 25, 30, 35, 40, 45, 50]);
      const seconds = run?.evaluations.map((evaluation) => evaluation.seconds) ?? [];
      expect(seconds).toEqual([...seconds].sort((a, b) => a - b));
    }
    // The bounds of the project for every seed from 1 to 3, and where Adam's best learning rate stands.
    expect(lossAt(25, cgfac?.evaluations)).toBeLessThanOrEqual(0.19);
    expect(lossAt(50, cgfac?.evaluations)).toBeLessThanOrEqual(0.17);
    expect(lossAt(50, adam?.evaluations)).toBeGreaterThan(0.235);
    expect(lossAt(50, adam?.evaluations)).toBeLessThan(0.265);

    for (const { step, loss } of [cgfac, adam].flatMap((run) => run?.evaluations ?? [])) {
      if ([10, 25, 50].includes(step)) expect(stdout).toContain(loss.toFixed(4));
    }
    expect(stdout).toMatch(/^ +step 10 +step 25 +step 50$/m);
    expect(stdout).toContain('out/autoencoder.png');
    const png = PNG.sync.read(readFileSync(join(directory, 'out/autoencoder.png')));
    expect(rowDifference(png, 3, 0, 1)).toBeGreaterThan(0);
    expect(rowDifference(png, 3, 0, 1)).toBeLessThan(rowDifference(png, 3, 0, 2));
  },
  5 * MINUTE,
);

test(
  'reaches the bounds with seeds 2 and 3 too',
  async () => {
    const seeds = [2, 3];
    const runs = seeds.map((seed) =>
      promisify(execFile)(process.execPath, [PROGRAM, '--optimizer', 'cgfac', '--seed', `${seed}`, '--json', `${seed}.json`], {
        cwd: directory,
      }),
    );
    await Promise.all(runs);
    for (const seed of seeds) {
      const [run, ...others] = report(`${seed}.json`).runs;
      expect(others).toEqual([]);
      expect(run).toMatchObject({ optimizer: 'cgfac', seed });
      expect(lossAt(25, run?.evaluations)).toBeLessThanOrEqual(0.19);
      expect(lossAt(50, run?.evaluations)).toBeLessThanOrEqual(0.17);
    }
  },
  5 * MINUTE,
);

test(
  'evaluates after the last step of a run of any length',
  () => {
    const { status, stdout } = start('--optimizer', 'sgd', '--steps', '7', '--seed', '5', '--json', 'report.json');
    expect(status).toBe(0);
    const [run, ...others] = report('report.json').runs;
    expect(others).toEqual([]);
    expect(run).toMatchObject({ optimizer: 'sgd', seed: 5, steps: 7 });
    expect(run?.evaluations.map(({ step }) => step)).toEqual([5, 7]);
    expect(stdout).toMatch(/^ +step 7$/m);
    expect(stdout).not.toMatch(/^(cgfac|adam)/m);
  },
  MINUTE,
);

test('shows its options', () => {
  const { status, stdout } = start('--help');
  expect(status).toBe(0);
  for (const option of ['--steps', '--optimizer', '--seed', '--json', '--help']) expect(stdout).toContain(option);
});

test.each([
  [['--steps', '0'], "option '--steps <n>' argument '0' is invalid. Expected an integer from 1"],
  [['--steps', '2.5'], 'Expected an integer'],
  [['--steps', 'many'], 'Expected an integer'],
  [['--steps'], "option '--steps <n>' argument missing"],
  [['--seed', '-1'], 'Expected an integer from 0'],
  [['--optimizer', 'rmsprop'], 'Allowed choices are cgfac, adam, sgd'],
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
  /** Runs the program on a pseudo-terminal of util-linux's script; `interrupt` presses Ctrl-C when a step has been shown. */
  function onTerminal(args: string, interrupt: boolean): Promise<{ code: number | null; output: string }> {
    return new Promise((done, fail) => {
      const child = spawn('script', ['--quiet', '--return', '--command', `"${process.execPath}" "${PROGRAM}" ${args}`, '/dev/null'], {
        cwd: directory,
      });
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
      const { code, output } = await onTerminal('--optimizer adam --steps 3', false);
      expect(code).toBe(0);
      expect(output).toMatch(/adam +\[=+\] step 3\/3 +loss 0\.\d{4} +\d+ ms\/step/);
      expect(output).toContain(HIDE_CURSOR);
      expect(output.lastIndexOf(SHOW_CURSOR)).toBeGreaterThan(output.lastIndexOf(HIDE_CURSOR));
    },
    MINUTE,
  );

  test(
    'ends cleanly on Ctrl-C',
    async () => {
      const { code, output } = await onTerminal('--steps 1000 --json report.json', true);
      expect(code).toBe(130);
      expect(output.trimEnd()).toMatch(/Stopped\.$/);
      expect(output.lastIndexOf(SHOW_CURSOR)).toBeGreaterThan(output.lastIndexOf(HIDE_CURSOR));
      expect(existsSync(join(directory, 'report.json'))).toBe(false);
    },
    MINUTE,
  );
});
