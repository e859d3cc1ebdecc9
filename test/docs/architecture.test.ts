import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';

// Documents that name files, and links between documents, do not outlive what they name.
const root = resolve(__dirname, '../..');
const read = (path: string) => readFileSync(join(root, path), 'utf8');
const markdownOf = (folder: string) =>
  readdirSync(join(root, folder))
    .filter((name) => name.endsWith('.md'))
    .map((name) => join(folder, name));

const architecture = 'docs/architecture.md';
const documents = ['README.md', 'CONTRIBUTING.md', ...markdownOf('docs'), ...markdownOf('docs/decisions')];

/** A document without its blocks of code. */
const proseOf = (text: string) => text.replace(/^ *```.*?^ *```/gms, '');

/** What a text names in code ticks that looks like a file or a folder of the repository. */
function pathsIn(text: string): string[] {
  const ticked = [...proseOf(text).matchAll(/`([^`\s]+)`/g)].map(([, code = '']) => code);
  return [...new Set(ticked.filter((code) => /^[\w.-]+(\/[\w.-]+)+$/.test(code) || /^[\w-]+\.(md|json)$/.test(code)))];
}

/** A source or document by its path from the root. */
const filePath =
  /(?<![\w./@-])(?:test|lib|binding|scripts|bench|docs|examples|datasets)\/[\w./-]+\.(?:ts|mjs|cpp|h|md|json|py)\b/g;

/** Folders that a build makes: a checkout may be without them. */
const built = /^(build|dist|node_modules|prebuilds|out)\//;

/** The anchors of a document's headings, as GitHub makes them. */
function anchorsIn(text: string): Set<string> {
  const headings = [...proseOf(text).matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) => heading);
  const names = headings.map((heading) =>
    heading
      .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\p{M}\s_-]/gu, '')
      .trim()
      .replace(/\s/g, '-'),
  );
  return new Set(
    names.map((name, index) => name + suffix(names.slice(0, index).filter((each) => each === name).length)),
  );
}

const suffix = (before: number) => (before === 0 ? '' : `-${before}`);

/** The targets of a document's links, those to other sites apart. */
const linksIn = (text: string) =>
  [...proseOf(text).matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = '']) => target).filter((to) => !/^\w+:/.test(to));

/** Why a link of a document leads nowhere; `undefined` where it does not. */
function brokenLink(document: string, link: string): string | undefined {
  const [path = '', anchor] = link.split('#');
  const target = path === '' ? document : join(dirname(document), path);
  if (!existsSync(join(root, target))) return `${link}: no such file`;
  if (anchor === undefined || !target.endsWith('.md')) return undefined;
  return anchorsIn(read(target)).has(anchor) ? undefined : `${link}: no such heading`;
}

/** The files of a way: the first one of each numbered point. */
function wayOf(heading: string): string[] {
  const section = read(architecture)
    .split(/^## /m)
    .find((each) => each.startsWith(heading));
  if (section === undefined) throw new Error(`${architecture} has no section "${heading}"`);
  return [...section.matchAll(/^(\d+)\. `([^`]+)`/gm)].map(([, , path = '']) => path);
}

test.each([architecture, 'CONTRIBUTING.md'])('every file that %s names exists', (document) => {
  const paths = pathsIn(read(document)).filter((path) => !built.test(path));
  expect(paths.length).toBeGreaterThan(20);
  expect(paths.filter((path) => !existsSync(join(root, path)))).toEqual([]);
});

test("every file that a source's comments name exists", () => {
  const sources = ['binding', 'lib', 'bench', 'scripts', 'test', 'examples', 'datasets'].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).map((name) => join(folder, name)),
  );
  const named = sources
    .filter((path) => /\.(ts|mjs|cpp|h)$/.test(path))
    .flatMap((path) =>
      [...read(path).matchAll(/^\s*(?:\/\/|\/?\*)(.*)$/gm)].flatMap(([, comment = '']) =>
        [...comment.matchAll(filePath)].map(([name]) => ({ path, name })),
      ),
    );
  expect(named.length).toBeGreaterThan(20);
  expect(named.filter(({ name }) => !existsSync(join(root, name)))).toEqual([]);
});

test.each([
  ['The way of one `preconditionSync(v)`', 8],
  ['The way of one step of `model.fit`', 25],
])('%s has at most %i files, each of them once', (heading, most) => {
  const way = wayOf(heading);
  expect(way.length).toBeGreaterThan(most / 2);
  expect(way.length).toBeLessThanOrEqual(most);
  expect(new Set(way).size).toBe(way.length);
});

test('every room of the sources is one that the architecture tells of', () => {
  const rooms = ['binding/core', 'binding/node', 'lib', 'lib/tfjs'].flatMap((folder) =>
    readdirSync(join(root, folder), { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => `${folder}/${name}`),
  );
  const named = pathsIn(read(architecture));
  expect(rooms.filter((room) => !named.includes(room))).toEqual([]);
});

test.each(documents)('the links of %s lead somewhere', (document) => {
  expect(linksIn(read(document)).flatMap((link) => brokenLink(document, link) ?? [])).toEqual([]);
});

describe('what finds a fault', () => {
  test('a link to a file, or to a heading, that is not there', () => {
    expect(brokenLink('README.md', 'docs/nowhere.md')).toMatch('no such file');
    expect(brokenLink('README.md', 'docs/math.md#nowhere')).toMatch('no such heading');
    expect(brokenLink('docs/guide.md', '../README.md')).toBeUndefined();
  });

  test('names in code ticks that are files, and those that are not', () => {
    expect(pathsIn('`lib/a.ts`, `x ← y/z` and `npm test`, `lib/b`\n```\n`lib/c.ts`\n```\n')).toEqual([
      'lib/a.ts',
      'lib/b',
    ]);
  });
});
