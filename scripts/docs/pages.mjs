// Which pages the site has, and what they are made of.

/** Sections of the guide by the page that they are on; a section of no page ends the build. */
const ofGuide = {
  install: {
    title: 'Install',
    sections: [
      'Which part to use',
      'Installing',
      'When something is wrong with an installation',
      'A checkout of the repository',
    ],
  },
  tensorflow: { title: 'TensorFlow.js', sections: ['With TensorFlow.js'] },
  'typed-arrays': {
    title: 'Typed arrays',
    sections: ['A network over typed arrays', 'A single layer', 'Arrays, promises, CommonJS'],
  },
  options: { title: 'Options', sections: ['Options'] },
  errors: { title: 'Errors', sections: ['Errors'] },
  'threads-memory': { title: 'Threads and memory', sections: ['Threads', 'Memory'] },
};

/** Documents that are a page each, by the order and the groups of the navigation; 'guide:x' is a page of the guide. */
const grouped = {
  Guides: [
    'guide:install',
    'guide:tensorflow',
    'guide:typed-arrays',
    'docs/choosing.md',
    'guide:options',
    'docs/guide-distributed.md',
    'docs/guide-distributed-training.md',
    'docs/troubleshooting.md',
    'guide:errors',
    'guide:threads-memory',
  ],
  'What to expect': [
    'docs/performance.md',
    'docs/reliability.md',
    'docs/results.md',
    'docs/paper.md',
    'docs/math.md',
    'CHANGELOG.md',
  ],
  Inside: [
    'docs/architecture.md',
    'CONTRIBUTING.md',
    'docs/decisions/README.md',
    'docs/decisions/recipe.md',
    'docs/decisions/damping.md',
    'docs/decisions/solver.md',
    'docs/decisions/threads.md',
    'docs/decisions/packaging.md',
    'docs/decisions/tensorflow.md',
    'docs/decisions/architecture.md',
    'docs/decisions/showing.md',
    'docs/decisions/testing.md',
  ],
};

/** All documents that are a page each, in order. */
export const order = Object.values(grouped).flat();
/** The groups of the navigation, the modules of the API among them. */
export const groups = ['Guides', 'Modules', 'What to expect', 'Inside', '*'];

const groupOf = (source) => Object.entries(grouped).find(([, sources]) => sources.includes(source))?.[0];

export const GUIDE = 'docs/guide.md';
const README = 'README.md';

/** A document without its blocks of code, lines kept. */
const proseOf = (text) => text.replace(/^ *```.*?^ *```$/gms, (block) => block.replace(/[^\n]/g, ' '));

/** The anchor of a heading, as GitHub makes it. */
export const anchorOf = (heading) =>
  heading
    .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\p{M}\s_-]/gu, '')
    .trim()
    .replace(/\s/g, '-');

/** The sections of a text: what stands before the first, and each with its heading. */
function sectionsOf(text) {
  const starts = [...proseOf(text).matchAll(/^## (.*)$/gm)];
  return starts.map(({ index, 1: heading }, place) => ({
    heading,
    text: text.slice(index, starts[place + 1]?.index ?? text.length),
  }));
}

const headingsIn = (text) => [...proseOf(text).matchAll(/^#+ (.*)$/gm)].map(([, heading]) => heading);

/** The pages of the guide, each with the headings that it took. */
function guidePages(text) {
  const sections = sectionsOf(text);
  const known = Object.values(ofGuide).flatMap(({ sections: own }) => own);
  const left = sections.filter(({ heading }) => !known.includes(heading));
  if (left.length > 0)
    throw new Error(`${GUIDE} has sections that no page of the site has: ${left.map(({ heading }) => heading)}`);
  return Object.entries(ofGuide).map(([name, { title, sections: own }]) => {
    const texts = own.map((heading) => {
      const found = sections.find((section) => section.heading === heading);
      if (found === undefined) throw new Error(`${GUIDE} has no section "${heading}"`);
      return found.text;
    });
    return { source: `guide:${name}`, name, title, text: `# ${title}\n\n${texts.join('')}`, from: GUIDE };
  });
}

const nameOf = (source) =>
  source
    .replace(/^docs\//, '')
    .replace(/\.md$/, '')
    .replace(/\//g, '-')
    .toLowerCase();

/** All pages before their links are turned: of the readme, of the guide, and documents as they are. */
export function pagesOf(read) {
  const guide = guidePages(read(GUIDE));
  return [README, ...order].map((source) => {
    const ofTheGuide = guide.find((page) => page.source === source);
    if (ofTheGuide) return { ...ofTheGuide, group: groupOf(source) };
    const text = read(source);
    const [title] = headingsIn(text);
    return {
      source,
      name: source === README ? 'index' : nameOf(source),
      title,
      group: groupOf(source),
      text,
      from: source,
    };
  });
}

/** The page and the anchor that a link of a document leads to; undefined where the site has no such page. */
function targetOf(pages, from, link) {
  const [path, anchor] = link.split('#');
  const target = path === '' ? from : new URL(path, `file:///${from}`).pathname.slice(1);
  const wanted = target === 'docs' || target === 'docs/decisions' ? `${target}/README.md` : target;
  const candidates = pages.filter((page) => page.from === wanted);
  if (candidates.length === 0) return undefined;
  const page =
    anchor === undefined
      ? candidates[0]
      : (candidates.find(({ text }) => headingsIn(text).some((heading) => anchorOf(heading) === anchor)) ??
        candidates[0]);
  return { page, anchor };
}

/** Where typedoc makes another anchor of a heading than GitHub does, or might, that of GitHub stands before it. */
function anchored(part) {
  return part.replace(/^(#+) (.*)$/gm, (whole, _, heading) =>
    /^[\w ,.?'()-]*$/.test(heading) && !anchorOf(heading).includes('--')
      ? whole
      : `<a id="${anchorOf(heading)}"></a>\n\n${whole}`,
  );
}

/** A page's text whose links lead to pages; one that leads to a file of the repository alone becomes its words. */
export function linked(pages, { name, text, from }) {
  const turned = (whole, words, link) => {
    if (/^\w+:/.test(link)) return whole;
    const found = targetOf(pages, from, link);
    if (found === undefined) return words;
    if (found.page.name === name && found.anchor !== undefined) return `[${words}](#${found.anchor})`;
    // typedoc knows its own anchors alone: that of GitHub goes along as a title, and becomes one again in the end
    return `[${words}](./${found.page.name}.md${found.anchor === undefined ? '' : ` "#${found.anchor}"`})`;
  };
  const parts = text.split(/(^ *```.*?^ *```$)/gms);
  return parts
    .map((part, place) =>
      place % 2 === 1 ? part : anchored(part).replace(/\[((?:[^\]\\[]|\\.|\[[^\]]*\])*)\]\(([^)\s]+)\)/g, turned),
    )
    .join('');
}
