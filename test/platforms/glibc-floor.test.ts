/** The oldest systems that the binaries run on: what they ask of the C library is what those have. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { aboveFloor, versionsNeeded } from '../support/elf-versions';
import { repository } from '../support/programs';

/** The addons of Linux with glibc below a folder. */
function addonsBelow(folder: string): string[] {
  const path = join(repository, folder);
  if (!existsSync(path)) return [];
  const names = readdirSync(path, { recursive: true, encoding: 'utf8' });
  return names
    .filter((name) => name.endsWith('.node') && !/musl|darwin|win32/.test(name))
    .map((name) => join(path, name));
}

const built = addonsBelow('build/Release');
const all = [...built, ...addonsBelow('build/arm64/Release'), ...addonsBelow('prebuilds')];

test('both addons of this machine are among those that are looked at', () => {
  expect(built.map((file) => file.slice(file.lastIndexOf('/') + 1)).sort()).toEqual(['cgfac.node', 'cgfac_mpi.node']);
});

test.each(all.map((file) => [file.slice(repository.length + 1), file]))('%s runs with glibc 2.34', (_, file) => {
  const versions = versionsNeeded(file ?? '');
  expect(versions.some((version) => version.startsWith('GLIBC_2.'))).toBe(true);
  expect(aboveFloor(versions)).toEqual([]);
});

describe('a library that asks for more', () => {
  const scratch = mkdtempSync(join(tmpdir(), 'cgfac-floor-'));
  afterAll(() => rmSync(scratch, { recursive: true }));

  function compiled(source: string): string[] {
    const file = join(scratch, 'library.so');
    const options = ['-shared', '-fPIC', '-O0', '-x', 'c++', '-', '-o', file];
    const { status, stderr, error } = spawnSync('g++', options, { input: source, encoding: 'utf8' });
    if (error || status !== 0) throw error ?? new Error(stderr);
    return versionsNeeded(file);
  }

  test('of the C library is seen', () => {
    // a function that glibc has since 2.36
    const source = '#include <stdlib.h>\nextern "C" unsigned f() { return arc4random(); }';
    expect(aboveFloor(compiled(source))).toEqual(['GLIBC_2.36']);
  });

  test('of the C++ library is seen', () => {
    const source = '#include <string>\nint f(const std::string& s) { return std::stoi(s); }';
    expect(aboveFloor(compiled(source))).toEqual(expect.arrayContaining([expect.stringMatching(/^(GLIBCXX|CXXABI)_/)]));
  });
});
