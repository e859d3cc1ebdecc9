// The targets of test/fuzz: first the committed corpus, then new inputs for so many minutes, over all targets; or the
// corpus under valgrind. What a target finds is kept in out/fuzz, and its report is printed.
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const root = fileURLToPath(new URL('../', import.meta.url));
const corpora = join(root, 'test/fuzz/corpus');
const found = join(root, 'out/fuzz');
const targets = readdirSync(corpora).sort();

/** Runs a program; its exit code, and all that it printed. */
function run(command, args) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => {
        output += text;
      });
    }
    child.on('error', reject).on('close', (status) => resolve({ status: status ?? 1, output }));
  });
}

/** Calls `work` for each item, as many at a time as there are processors. */
async function inParallel(items, work) {
  const left = [...items];
  const results = [];
  const worker = async () => {
    for (let item = left.shift(); item !== undefined; item = left.shift()) results.push(await work(item));
  };
  await Promise.all(Array.from({ length: availableParallelism() }, worker));
  return results.flat();
}

/** Prints what a run ended with, and whether it is well. */
function told(name, { status, output }) {
  const statistics = [...output.matchAll(/^stat::(number_of_executed_units|peak_rss_mb):\s+(\d+)$/gm)];
  const coverage = [...output.matchAll(/\bcov: (\d+)/g)].at(-1);
  const figures = [...statistics.map(([, key, value]) => `${key} ${value}`), `edges ${coverage?.[1] ?? 'not counted'}`];
  console.log(`fuzz: ${name}: ${status === 0 ? figures.join(', ') : `FAILED with ${status}\n${output}`}`);
  return status === 0;
}

const filesOf = (target) => readdirSync(join(corpora, target)).map((name) => join(corpora, target, name));

/**
 * The corpus of a target, then new inputs for some seconds. A search goes on with the inputs that searches before have
 * found; else the inputs are the same ones every time, as far as time goes.
 */
async function fuzzed(target, seconds, search) {
  const program = join(root, `build/fuzz/test/fuzz/fuzz_${target}`);
  const committed = join(corpora, target);
  mkdirSync(join(found, target), { recursive: true });
  const always = ['-print_final_stats=1', '-timeout=20', '-rss_limit_mb=2048', `-artifact_prefix=${found}/${target}-`];
  const known = told(`${target}, corpus`, await run(program, [...always, '-runs=0', committed]));
  const own = search ? join(found, target) : mkdtempSync(join(tmpdir(), 'cgfac-fuzz-'));
  const limits = ['-max_len=512', `-max_total_time=${seconds}`, ...(search ? [] : ['-seed=1'])];
  const made = await run(program, [...always, ...limits, own, committed]);
  if (!search) rmSync(own, { recursive: true });
  return [known, told(`${target}, ${seconds} s`, made)];
}

/** The corpus of a target under valgrind. */
async function checked(target) {
  const program = join(root, `build/replay/test/fuzz/fuzz_${target}`);
  const options = ['--quiet', '--error-exitcode=9', '--leak-check=full', '--errors-for-leak-kinds=definite'];
  return told(`${target}, valgrind`, await run('valgrind', [...options, program, ...filesOf(target)]));
}

/** The counts of the runs that the arguments ask for; `setUp` brings the targets up to date. */
export async function fuzz(args, setUp) {
  const { minutes, valgrind } = parseArgs({
    args,
    options: { minutes: { type: 'string' }, valgrind: { type: 'boolean', default: false } },
  }).values;
  const total = 60 * Number(minutes ?? 1);
  if (!(total > 0)) throw new RangeError(`Expected a number > 0 for --minutes but received ${minutes}`);
  if (!setUp(valgrind ? '--replay' : '--fuzz')) return { passed: 0, failed: 1 };
  const search = minutes !== undefined;
  const seconds = Math.ceil(total / targets.length);
  const runs = await inParallel(targets, (target) => (valgrind ? checked(target) : fuzzed(target, seconds, search)));
  const passed = runs.filter(Boolean).length;
  return { passed, failed: runs.length - passed };
}
