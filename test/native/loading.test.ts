import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { build } from 'esbuild';
import { run } from '../support/children';

const root = resolve(__dirname, '../..');
const program = "try { require('cgfac'); } catch (error) { console.log(error.code, error.message); }";

describe('the environment', () => {
  test.each([undefined, '7'])('stays as it was, with OPENBLAS_NUM_THREADS=%s', async (value) => {
    const { stdout } = await run('environment.cjs', { env: { OPENBLAS_NUM_THREADS: value } });
    expect(stdout).toBe(`changed: nothing; a child has: ${value ?? ''}; BLAS threads: 1`);
  });
});

describe('an addon that cannot be loaded', () => {
  const scratch = realpathSync(mkdtempSync(join(tmpdir(), 'cgfac-loading-')));
  afterAll(() => rmSync(scratch, { recursive: true }));
  // not what a run under sanitizers takes in its place
  const { CGFAC_PREBUILD: _, LD_PRELOAD: __, ...env } = process.env;
  const evaluate = (cwd: string, ...flags: string[]) =>
    spawnSync(process.execPath, [...flags, '--eval', program], { cwd, env, encoding: 'utf8' }).stdout.trim();

  test.each([['--no-addons'], ['--experimental-permission --allow-fs-read=*']])('forbidden by %s', (flags) => {
    expect(evaluate(root, ...flags.split(' '))).toMatch(/^ERR_CGFAC_NATIVE_LOAD .*may not load addons.*--no-addons/);
  });

  test('in code that was bundled: the folder, and what to do', async () => {
    const bundle = join(scratch, 'bundled', 'server.cjs');
    const stdin = { contents: program, resolveDir: root };
    await build({ stdin, bundle: true, platform: 'node', outfile: bundle, logLevel: 'silent' });
    const { stdout } = spawnSync(process.execPath, [bundle], { env, encoding: 'utf8' });
    expect(stdout).toMatch(/^ERR_CGFAC_NATIVE_LOAD .*bundled.*mark cgfac as external to the bundle/);
    expect(stdout).toContain(join(scratch, 'bundled'));
  });

  test('of a package without a binary, or with a broken one', () => {
    const folder = join(scratch, 'node_modules', 'cgfac');
    mkdirSync(join(folder, 'dist'), { recursive: true });
    cpSync(join(root, 'package.json'), join(folder, 'package.json'));
    cpSync(join(root, 'dist/lib'), join(folder, 'dist/lib'), { recursive: true });
    cpSync(join(root, 'node_modules/node-gyp-build'), join(scratch, 'node_modules/node-gyp-build'), {
      recursive: true,
    });
    const platform = `${process.platform}-${process.arch}`;
    expect(evaluate(scratch)).toMatch(new RegExp(`^ERR_CGFAC_NATIVE_LOAD .*${folder}.*there is none for ${platform}`));
    mkdirSync(join(folder, 'build/Release'), { recursive: true });
    writeFileSync(join(folder, 'build/Release/cgfac.node'), 'no addon');
    expect(evaluate(scratch)).toMatch(/^ERR_CGFAC_NATIVE_LOAD .*the system refused it: .*file too short|invalid ELF/);
  });
});

describe('the command', () => {
  const command = join(root, 'dist/lib/cli/main.js');
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
  const call = (args: readonly string[], flags: readonly string[] = []) => run(command, { args, flags });

  test('doctor reports versions, kernel, threads, a self-test and a benchmark', async () => {
    const { end, stdout, stderr } = await call(['doctor']);
    expect([end, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(new RegExp(`^ {2}cgfac +${version.replaceAll('.', '\\.')}$`, 'm'));
    expect(stdout).toMatch(/^ {2}addon +build\/(\w+-addon\/build\/)?Release\/cgfac.node$/m);
    expect(stdout).toMatch(/^ {2}kernel +\w+(; OPENBLAS_CORETYPE=\w+)?$/m);
    expect(stdout).toMatch(/^ {2}threads +\d+ used, \d+ allowed/m);
    expect(stdout.match(/passed, residual \d\.\de-\d/g)).toHaveLength(4);
    expect(stdout).toMatch(/exact solve +[\d.]+ ms, median of \d+/);
    expect(stdout).toMatch(/cgfac works here\.$/);
  });

  test('doctor ends with 1 and the cause where the addon cannot be loaded', async () => {
    const { end, stdout } = await call(['doctor'], ['--no-addons']);
    expect(end).toBe(1);
    expect(stdout).toContain('may not load addons');
  });

  test('tells of itself and of its commands', async () => {
    const { end, stdout } = await call(['--help']);
    expect([end, stdout.split('\n')[0]]).toEqual([0, `cgfac ${version}: second-order training for Node`]);
    expect(stdout).toMatch(/Usage: cgfac <command>.*^ {2}doctor .*^ {2}build .*Exit code/ms);
    expect(await call(['--version'])).toMatchObject({ end: 0, stdout: version });
    for (const [name, words] of [
      ['doctor', 'a bug report needs'],
      ['build', '--jobs N'],
    ] as const) {
      const help = await call([name, '--help']);
      expect(help).toMatchObject({ end: 0, stderr: '', stdout: expect.stringContaining(`Usage: cgfac ${name}`) });
      expect(help.stdout).toContain(words);
    }
  });

  test.each([
    [[], 'Expected a command but received none'],
    [['surgeon'], "received 'surgeon'\n"],
    [['docter'], "received 'docter'; did you mean 'doctor'?"],
    [['doctor', 'who'], "received 'who'"],
    [['doctor', '--fast'], "Unknown option '--fast'"],
    [['build', '--jobs', 'many'], "Expected an integer from 1 to 1024 for --jobs but received 'many'"],
    [['--fast'], "Unknown option '--fast'"],
    [['--version', 'doctor'], "received '--version doctor'"],
    [['--'], "received '--'"],
  ] as const)('refuses %j with the exit code 2', async (args, words) => {
    const { end, stdout, stderr } = await call(args);
    expect([end, stdout]).toEqual([2, '']);
    expect(stderr).toContain(words);
    expect(stderr).toContain('cgfac --help');
  });

  test('does not mind that nobody reads on', async () => {
    const under = ['bash', '-c', 'set -o pipefail; "$@" | head -n 1', 'bash'];
    expect(await run(command, { args: ['doctor'], under })).toMatchObject({
      end: 0,
      stdout: 'Installation',
      stderr: '',
    });
  });

  test('build refuses a checkout, whose addon npm run build makes', async () => {
    expect(await call(['build'])).toMatchObject({ end: 1, stderr: expect.stringContaining('npm run build') });
  });
});
