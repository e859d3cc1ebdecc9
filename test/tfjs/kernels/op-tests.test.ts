/** The op tests of TensorFlow.js itself, on the stock kernels of the wasm backend and on those of this package. */
import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { repository } from '../../support/programs';
import type { OpTestResults } from '../op-tests/main';

const run = promisify(execFile);
const inRepository = { cwd: repository, maxBuffer: 2 ** 26 };
// two folders below the root, where the sources are, too, that look for the addon from where they lie
const folder = join(repository, 'build/op-tests');
const program = join(folder, 'main.cjs');

async function bundle(): Promise<void> {
  mkdirSync(folder, { recursive: true });
  await run(
    join(repository, 'node_modules/.bin/esbuild'),
    [
      'test/tfjs/op-tests/main.ts',
      '--bundle',
      '--platform=node',
      '--format=cjs',
      // the sources of TensorFlow.js, which its tests import, and one copy of them alone
      '--main-fields=module,main',
      // its package.json calls the tests free of side effects
      '--ignore-annotations',
      '--log-level=warning',
      `--outfile=${program}`,
    ],
    inRepository,
  );
}

async function results(kernels: 'stock' | 'kernels'): Promise<OpTestResults> {
  const file = join(folder, `${kernels}.json`);
  await run(process.execPath, [program, file, kernels], inRepository);
  return JSON.parse(readFileSync(file, 'utf8')) as OpTestResults;
}

describe('the op tests of TensorFlow.js', () => {
  let [stock, own]: OpTestResults[] = [];
  const named = (from: OpTestResults | undefined, holds: (failure: string | null) => boolean) =>
    Object.entries(from?.specs ?? {}).flatMap(([name, failure]) => (holds(failure) ? [name] : []));
  const passed = (from: OpTestResults | undefined) => named(from, (failure) => failure === null);

  beforeAll(async () => {
    await bundle();
    [stock, own] = await Promise.all([results('stock'), results('kernels')]);
  }, 110_000);

  it('run on the stock kernels, most of them with success', () => {
    expect(passed(stock).length).toBeGreaterThan(3800);
    expect(stock?.native).toEqual({});
  });

  it('that pass on the stock kernels pass on those of this package, of calls of any size', () => {
    const better = new Set(passed(own));
    expect(passed(stock).filter((name) => !better.has(name))).toEqual([]);
  });

  it('that the stock kernels fail for a kernel that is added here pass', () => {
    const added = Object.keys(own?.native ?? {});
    const lacking = named(stock, (failure) => added.includes(/Kernel '(\w+)' not reg/.exec(failure ?? '')?.[1] ?? ''));
    expect(lacking.length).toBeGreaterThanOrEqual(54);
    const better = new Set(passed(own));
    expect(lacking.filter((name) => !better.has(name))).toEqual([]);
  });

  it('reach every kernel of this package', () => {
    const { native = {} } = own ?? {};
    expect(Object.keys(native)).toHaveLength(60);
    expect(Object.keys(native).filter((name) => native[name] === 0)).toEqual([]);
  });
});
