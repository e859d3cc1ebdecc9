import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

// THIRD_PARTY_NOTICES names all that others wrote and that the package ships, with the text of its licence.
const root = resolve(__dirname, '../..');
const read = (path: string) => readFileSync(join(root, path), 'utf8');
const notices = read('THIRD_PARTY_NOTICES');
const manifest = JSON.parse(read('package.json')) as {
  readonly dependencies: Readonly<Record<string, string>>;
  readonly files: readonly string[];
};

/** The sections: their titles, and their texts. */
const sections = new Map(
  notices
    .split(/^={80}\n(?=.+\nWhere: )/m)
    .slice(1)
    .map((section) => [section.split('\n')[0] ?? '', section.split(/^={80}$/m)[1] ?? ''] as const),
);

/** What CMakeLists.txt links, and where it comes from: the start of a section's title, or `undefined` of the system. */
const linked: Readonly<Record<string, readonly string[] | undefined>> = {
  // Debian's archive of OpenBLAS has LAPACK in it
  BLAS_LIBRARIES: ['OpenBLAS', 'GotoBLAS2', 'LAPACK'],
  '-static-libstdc++': ['libstdc++ and libgcc', 'Parts of libstdc++'],
  'Threads::Threads': undefined,
  CMAKE_DL_LIBS: undefined,
  // Node's own import library, on Windows alone
  CMAKE_JS_LIB: undefined,
  cgfac_core: undefined,
};

/** What the addons and the core are linked with, as CMake has it: names of libraries, or of variables. */
function linkedBy(cmake: string): string[] {
  const calls = [...cmake.matchAll(/target_link_libraries\(([^)]*)\)/g)].map(([, words = '']) =>
    words.replace(/\$\{(\w+)\}/g, '$1').split(/\s+/),
  );
  const libraries = calls
    .flatMap(([, ...words]) => words)
    .filter((word) => !/^(PRIVATE|PUBLIC|INTERFACE|)$/.test(word));
  return [...new Set([...libraries, ...(cmake.match(/-static-lib[\w+]+/g) ?? [])])];
}

const titled = (start: string) => [...sections.keys()].some((title) => title.startsWith(start));

test('every section has a title of its own and the text of a licence', () => {
  expect(sections.size).toBe(notices.match(/^Licence: /gm)?.length);
  for (const [title, text] of sections) {
    expect([title, text]).toEqual([title, expect.stringMatching(/Copyright/)]);
    expect([title, text]).toEqual([title, expect.stringMatching(/warrant|MERCHANTABILITY|Exception/i)]);
  }
});

test('everything that CMake links is named, and nothing is linked that is not known here', () => {
  const found = linkedBy(read('CMakeLists.txt') + read('binding/cmake/link_options.cmake'));
  expect(found).toEqual(expect.arrayContaining(['BLAS_LIBRARIES', '-static-libstdc++']));
  expect(found.filter((name) => !(name in linked))).toEqual([]);
  expect(found.flatMap((name) => linked[name] ?? []).filter((start) => !titled(start))).toEqual([]);
});

test('every dependency and every folder of headers is named', () => {
  const headers = [...read('scripts/prepack.mjs').matchAll(/'node_modules\/([\w-]+)[^']*', 'dist\/include/g)];
  const names = [...Object.keys(manifest.dependencies), ...headers.map(([, name = '']) => name)];
  expect(names).toEqual(['node-gyp-build', 'node-addon-api', 'node-api-headers']);
  expect(names.filter((name) => !titled(name))).toEqual([]);
});

test('the package ships the notices, and has no copied sources beside its own', () => {
  expect(manifest.files).toContain('THIRD_PARTY_NOTICES');
  const sources = readdirSync(join(root, 'binding'), { recursive: true, encoding: 'utf8' });
  const foreign = sources.filter(
    (name) => /\.(cpp|h)$/.test(name) && /copyright|licen[cs]e/i.test(read(join('binding', name))),
  );
  expect(foreign).toEqual([]);
});

describe('what finds a fault', () => {
  test('a library that nobody knows', () => {
    expect(linkedBy(`target_link_libraries(cgfac PRIVATE cgfac_core ${'$'}{FFTW} PUBLIC z)`)).toEqual([
      'cgfac_core',
      'FFTW',
      'z',
    ]);
  });
});
