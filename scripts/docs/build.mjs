// npm run docs: the documents and what typedoc makes of the sources as one static folder, out/site, that asks nothing
// of anywhere. Ends with a line "N passed, N failed", the pages that were made and links that lead nowhere.
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Application, TSConfigReader, TypeDocReader } from 'typedoc';
import { withFormulas } from './formulas.mjs';
import { groups, linked, order, pagesOf } from './pages.mjs';

const root = fileURLToPath(new URL('../../', import.meta.url));
const texts = join(root, 'build/site');
const site = join(root, 'out/site');
const STYLE = fileURLToPath(new URL('site.css', import.meta.url));

const frontMatter = ({ title, group }) => `---\ntitle: ${JSON.stringify(title)}\ngroup: ${group}\n---\n\n`;

/** Writes the pages as typedoc takes them, links and formulas turned, a title at the head of each. */
function writePages() {
  rmSync(texts, { recursive: true, force: true });
  mkdirSync(texts, { recursive: true });
  const pages = pagesOf((path) => readFileSync(join(root, path), 'utf8'));
  for (const page of pages) {
    const body = withFormulas(linked(pages, page));
    // the home page has the package's name for its title already
    const own = page.name === 'index' ? body.replace(/^# .*\n/, '') : body;
    const head = page.name === 'index' ? '' : frontMatter(page);
    writeFileSync(join(texts, `${page.name}.md`), head + own);
  }
  return order.map((source) => join(texts, `${pages.find((page) => page.source === source).name}.md`));
}

async function writeSite(documents) {
  rmSync(site, { recursive: true, force: true });
  const app = await Application.bootstrapWithPlugins(
    {
      options: join(root, 'typedoc.jsonc'),
      out: site,
      readme: join(texts, 'index.md'),
      projectDocuments: documents,
      searchInDocuments: true,
      hideGenerator: true,
      customCss: STYLE,
      highlightLanguages: ['sh', 'bash', 'js', 'ts', 'json', 'cpp', 'text', 'mermaid', 'yaml', 'dockerfile', 'python'],
      navigation: { includeGroups: true, includeCategories: false },
      groupOrder: groups,
    },
    [new TypeDocReader(), new TSConfigReader()],
  );
  const project = await app.convert();
  if (!project || app.logger.hasErrors() || app.logger.hasWarnings()) return false;
  await app.generateOutputs(project);
  const icons = readFileSync(join(site, 'assets/icons.svg'), 'utf8');
  for (const file of htmlFiles(site)) {
    const html = readFileSync(join(site, file), 'utf8');
    writeFileSync(join(site, file), withIcons(anchored(html), icons));
  }
  return !app.logger.hasErrors() && !app.logger.hasWarnings();
}

const htmlFiles = (folder) =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.html'));

/** Links with the anchors that came along as titles. */
const anchored = (html) =>
  html.replace(
    /<a href="([^"#]*)"([^>]*?) title="(#[^"]*)"/g,
    (_, path, between, anchor) => `<a href="${path.replace(/^(\.\.\/)?$/, '$1index.html')}${anchor}"${between}`,
  );

/** Icons inside the page: a page that is opened from a disk may not read those of another file. */
function withIcons(html, icons) {
  const names = [...new Set([...html.matchAll(/<use href="[^"]*icons\.svg#([\w-]+)"/g)].map(([, name]) => name))];
  const own = names.map((name) => {
    const found = icons.match(new RegExp(`<(symbol|svg|g)\\b[^>]*\\bid="${name}"[^>]*>.*?</\\1>`, 's'));
    if (found === null) throw new Error(`Expected an icon ${name} in icons.svg but received none`);
    return found[0].replace(`id="${name}"`, `id="own-${name}"`);
  });
  return html
    .replace(/<use href="[^"]*icons\.svg#([\w-]+)"/g, '<use href="#own-$1"')
    .replace(/<body>/, `<body><svg class="own-icons" aria-hidden="true">${own.join('')}</svg>`);
}

const unescaped = (text) => text.replaceAll('&amp;', '&').replaceAll('&quot;', '"').replaceAll('&#39;', "'");

/** Why links of the site lead nowhere, and what of it asks something of anywhere. */
export function faults(folder) {
  const files = htmlFiles(folder);
  const known = new Map(
    files.map((name) => {
      const html = readFileSync(join(folder, name), 'utf8');
      return [
        name,
        { html, ids: new Set([...html.matchAll(/\s(?:id|name)="([^"]+)"/g)].map(([, id]) => unescaped(id))) },
      ];
    }),
  );
  const others = new Set(readdirSync(folder, { recursive: true, encoding: 'utf8' }));
  const found = [];
  for (const [name, { html }] of known) {
    for (const [, kind, link] of html.matchAll(/<(?:a|link|script|img)\b[^>]*?\s(href|src)="([^"]*)"/g)) {
      if (/^(https?|mailto):/.test(link)) {
        if (kind === 'src') found.push(`${name}: asks for ${link}`);
        continue;
      }
      if (/^(data|javascript):/.test(link)) continue;
      const [path, anchor] = unescaped(link).split('#');
      const target = path === '' ? name : relative('/', join('/', dirname(name), decodeURIComponent(path)));
      if (!others.has(target)) found.push(`${name}: ${link}: no such file`);
      else if (anchor && known.has(target) && !known.get(target).ids.has(decodeURIComponent(anchor)))
        found.push(`${name}: ${link}: no such place`);
    }
    for (const [, address] of html.matchAll(/<link\b[^>]*\shref="(https?:[^"]*)"/g))
      found.push(`${name}: asks for ${address}`);
  }
  return { pages: files.length, found };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const made = await writeSite(writePages());
  const { pages, found } = made ? faults(site) : { pages: 0, found: ['typedoc did not come to its end'] };
  for (const fault of found) console.error(fault);
  console.log(`out/site/index.html: ${pages} pages`);
  console.log(`${pages} passed, ${found.length} failed`);
  process.exitCode = found.length === 0 ? 0 : 1;
}
