/**
 * The package as its users get it, packed, and installed into an empty directory on a machine without a compiler, CMake
 * or OpenBLAS; and the table of consumers, each of which is shown to fail where the package is harmed.
 */
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describeConsumers } from './consumers/table';
import { bareEnvironment, install, npmScript, type Packed, pack, prebuiltFiles, ROOT, run, runWell } from './packed';

const GOLDEN = join(ROOT, 'test/golden');
const MINUTE = 60_000;

interface GoldenResult {
  readonly damping: number;
  readonly goldenResidual: number;
  readonly applyError: number;
  readonly solveError: number;
  readonly asyncError: number;
  readonly reason: string;
  readonly space: string;
}

interface SolveOutput {
  readonly info: { readonly version: string; readonly blas: { readonly threads: number } };
  readonly exports: readonly string[];
  readonly sameClass?: boolean;
  readonly results: Readonly<Record<string, readonly GoldenResult[]>>;
}

const scratch = realpathSync(mkdtempSync(join(tmpdir(), 'cgfac-package-')));
const checkout = join(scratch, 'checkout');
const consumer = join(scratch, 'consumer');
const trainer = join(scratch, 'trainer');
const bin = join(scratch, 'bin');
const env = bareEnvironment(bin);
let packed: Packed;

function typeCheck(
  directory: string,
  file: string,
  options: Record<string, unknown>,
): { status: number | null; stdout: string } {
  const config = join(directory, `tsconfig.${file}.json`);
  const compilerOptions = {
    target: 'es2022',
    lib: ['es2022'],
    module: 'node16',
    strict: true,
    exactOptionalPropertyTypes: true,
    noEmit: true,
    types: ['node'],
    typeRoots: [join(ROOT, 'node_modules/@types')],
    ...options,
  };
  writeFileSync(config, JSON.stringify({ compilerOptions, files: [file] }));
  return run(process.execPath, [join(ROOT, 'node_modules/typescript/bin/tsc'), '--project', config], {
    cwd: directory,
  });
}

beforeAll(() => {
  chmodSync(scratch, 0o755);
  mkdirSync(bin);
  symlinkSync(process.execPath, join(bin, 'node'));
  symlinkSync(npmScript(), join(bin, 'npm'));
  packed = pack(checkout, scratch);
  install(consumer, packed.tarball, env);
}, 10 * MINUTE);

afterAll(() => rmSync(scratch, { recursive: true, force: true }));

describe('the tarball', () => {
  test('holds the facade with its types, two binaries, their sources, and the papers', () => {
    const expected = [
      /^(package\.json|README\.md|CHANGELOG\.md|SECURITY\.md|LICENSE|THIRD_PARTY_NOTICES)$/,
      // what `cgfac build` builds
      /^(CMakeLists\.txt|binding\/([a-z_]+\/)+[a-z0-9_]+\.(cpp|h|json|map|txt|cmake))$/,
      /^dist\/include\/node-(addon-api|api)\/[a-z_.-]+\.h$/,
      /^dist\/lib\/([a-z-]+\/)*[a-z-]+\d*\.(js|mjs|d\.ts|d\.mts)$/,
      /^prebuilds\/linux-x64\/(cgfac|mpi\/cgfac_mpi)\.glibc\.node$/,
    ];
    expect(packed.files.filter((path) => !expected.some((pattern) => pattern.test(path)))).toEqual([]);
    const binaries = ['cgfac', 'mpi/cgfac_mpi'].map((name) => `prebuilds/linux-x64/${name}.glibc.node`);
    const papers = ['LICENSE', 'THIRD_PARTY_NOTICES', 'README.md', 'CHANGELOG.md', 'SECURITY.md'];
    const sources = ['CMakeLists.txt', 'binding/node/exports.map', 'dist/include/node-addon-api/napi.h'];
    const needed = [...papers, ...sources, ...binaries];
    const entries = ['dist/lib/index', 'dist/lib/tfjs/index', 'dist/lib/mpi/index'].flatMap((entry) =>
      ['.js', '.mjs', '.d.ts', '.d.mts'].map((end) => entry + end),
    );
    expect(packed.files).toEqual(expect.arrayContaining([...needed, ...entries]));
  });

  test('is at most 9 MB, and tells what is in it', () => {
    // OpenBLAS with the kernels of every x86-64 makes 27 MB stripped, of which 8 are left when compressed.
    const { bytes, unpackedBytes, files } = packed;
    const megabytes = (size: number) => `${(size / 1e6).toFixed(1)} MB`;
    console.info(`tarball: ${megabytes(bytes)}, unpacked ${megabytes(unpackedBytes)}, ${files.length} files`);
    expect(bytes).toBeLessThanOrEqual(9e6);
    expect(unpackedBytes).toBeLessThan(32e6);
  });

  test('passes publint', () => {
    const publint = join(ROOT, 'node_modules/publint/src/cli.js');
    const { status, stdout, stderr } = run(process.execPath, [publint, 'run', packed.tarball, '--strict'], {
      cwd: scratch,
    });
    expect({ status, output: stdout + stderr }).toMatchObject({
      status: 0,
      output: expect.stringContaining('All good!'),
    });
  });
});

describe('the binaries', () => {
  test('need the C library alone, and nothing of MPI', () => {
    const allowed = [
      'ld-linux-x86-64.so.2',
      'libc.so.6',
      'libdl.so.2',
      'libgcc_s.so.1',
      'libm.so.6',
      'libpthread.so.0',
    ];
    for (const file of prebuiltFiles(checkout)) {
      const dynamic = runWell('readelf', ['--dynamic', '--wide', file], { cwd: scratch });
      const libraries = [...dynamic.matchAll(/\(NEEDED\).*\[(.+)\]/g)].map((match) => match[1]);
      expect(libraries.filter((library) => !allowed.includes(library ?? ''))).toEqual([]);
      expect(libraries).toContain('libc.so.6');
      const resolved = runWell('ldd', [file], { cwd: scratch });
      expect(resolved).not.toMatch(/not found|openblas|gfortran|quadmath|stdc\+\+|mpi\S*\.so/);
    }
  });

  test('run with glibc 2.34 and later', () => {
    // The floor that Debian 12's own compiler and static libraries set, and that RHEL 9 and Ubuntu 22.04 meet.
    for (const file of prebuiltFiles(checkout)) {
      const versions = runWell('readelf', ['--version-info', '--wide', file], { cwd: scratch });
      const minors = [...versions.matchAll(/GLIBC_2\.(\d+)/g)].map((match) => Number(match[1]));
      expect(minors.length).toBeGreaterThan(0);
      expect(Math.max(...minors)).toBeLessThanOrEqual(34);
    }
  });
});

describe('an installation without development tools', () => {
  test('sees no compiler, no CMake and no make', () => {
    for (const tool of ['g++', 'gcc', 'cc', 'clang', 'cmake', 'make']) {
      expect(spawnSync(tool, ['--version'], { env }).error).toMatchObject({ code: 'ENOENT' });
    }
  });

  test('brings the loader and nothing else', () => {
    const installed = readdirSync(join(consumer, 'node_modules')).filter((name) => !name.startsWith('.'));
    expect(installed.sort()).toEqual(['cgfac', 'node-gyp-build']);
  });

  const names = ['tiny', 'real-encoder-layer'];

  test.each(['solve.mjs', 'solve.cjs'])('solves golden cases (%s)', (program) => {
    const output: SolveOutput = JSON.parse(runWell('node', [program, GOLDEN, ...names], { cwd: consumer, env }));
    expect(output.info).toMatchObject({ version: expect.stringMatching(/^\d+\.\d+\.\d+/), blas: { threads: 1 } });
    expect(Object.keys(output.results)).toEqual(names);
    for (const result of Object.values(output.results).flat()) {
      // Two float32 products, each rounded to 2⁻²⁴ and summed over a few hundred terms: some 10⁻⁷; with a margin.
      expect(result.applyError).toBeLessThan(2e-6);
      expect(result).toMatchObject({ space: 'gram', reason: expect.stringMatching(/^(max-iterations|converged)$/) });
      // Below this residual an iterate is the result of cancellation, and no two programs agree on it.
      if (result.goldenResidual > 1e-3) {
        // The iteration is in float64; what remains is U, made of float32 products, and the rounding of x.
        expect(result.solveError).toBeLessThan(2e-5);
        expect(result.asyncError).toBeLessThan(2e-5);
      }
    }
    expect(
      Object.values(output.results)
        .flat()
        .some(({ goldenResidual }) => goldenResidual > 1e-3),
    ).toBe(true);
  });

  test('has one instance of each class for both module systems', () => {
    const parse = (program: string): SolveOutput =>
      JSON.parse(runWell('node', [program, GOLDEN], { cwd: consumer, env }));
    const [fromEsm, fromCommonJs] = [parse('solve.mjs'), parse('solve.cjs')];
    expect(fromEsm.sameClass).toBe(true);
    // Node adds these two to what it sees of a CommonJS module.
    expect(fromEsm.exports.filter((name) => !['__esModule', 'module.exports'].includes(name))).toEqual(
      fromCommonJs.exports,
    );
  });

  test('names the missing peer where the TensorFlow.js optimizer is imported', () => {
    const { status, stderr } = run('node', ['--eval', "require('cgfac/tfjs')"], {
      cwd: consumer,
      env,
    });
    expect(status).not.toBe(0);
    expect(stderr).toContain('@tensorflow/tfjs-core');
  });

  test('says in one sentence that there is no MPI, where there is none', () => {
    const program = "require('cgfac/mpi').connectMpi().catch(({ code, message }) => console.log(code, message))";
    // the machine of the test may have one
    const without = { ...env, CGFAC_MPI_LIBRARY: 'libmpi.so.of-nobody' };
    const said = runWell('node', ['--eval', program], { cwd: consumer, env: without });
    expect(said).toMatch(/^ERR_CGFAC_MPI Expected an MPI library .* could load none: libmpi\.so\.of-nobody: .*Install/);
  });

  test.each(['types-core.mts', 'types-core.cts'])(
    'type-checks its consumers (%s)',
    (file) => {
      expect(typeCheck(consumer, file, {})).toMatchObject({ status: 0, stdout: '' });
    },
    MINUTE,
  );
});

describe('an installation beside TensorFlow.js', () => {
  beforeAll(() => {
    install(trainer, packed.tarball, env);
    symlinkSync(join(ROOT, 'node_modules/@tensorflow'), join(trainer, 'node_modules/@tensorflow'));
  }, 2 * MINUTE);

  test.each(['train.mjs', 'train.cjs'])(
    'trains a model (%s)',
    (program) => {
      const output = JSON.parse(runWell('node', [program], { cwd: trainer, env }).trim().split('\n').at(-1) ?? '');
      expect(output.isOptimizer).toBe(true);
      expect(output.losses).toHaveLength(8);
      expect(output.losses.at(-1)).toBeLessThan(output.losses[0]);
    },
    MINUTE,
  );

  test.each(['types-tfjs.mts', 'types-tfjs.cts'])(
    'type-checks its consumers (%s)',
    (file) => {
      // The types of TensorFlow.js itself do not pass a check with this set of libraries.
      expect(typeCheck(trainer, file, { skipLibCheck: true })).toMatchObject({ status: 0, stdout: '' });
    },
    MINUTE,
  );
});

describe('the consumer', () => {
  describeConsumers(() => ({ scratch, tarball: packed.tarball, env, installed: consumer }));
});
