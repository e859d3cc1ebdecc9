// Writes what follows from the tables of options: the members of the TypeScript interfaces, with their TSDoc, between
// `// options:begin` and `// options:end`, and the tables of docs/guide.md between the same words in comments.
// With --check it writes nothing, names what is out of date, and fails. Needs a checkout that was built once.
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { exportsOf } from './typescript.mjs';

const root = fileURLToPath(new URL('../', import.meta.url));
const width = 120;
const prose = 100;

const layer = exportsOf('lib/layer/option-rows.ts');
const { preconditionerRows } = exportsOf('lib/network/option-rows.ts');
const { cgOptimizerRows, recipeRows } = exportsOf('lib/tfjs/options.ts');

/** Rows that `other` has not, or that it has otherwise. */
const without = (rows, other) => Object.fromEntries(Object.entries(rows).filter(([name, row]) => other[name] !== row));
const inherited = { ...layer.layerRows, ...layer.cgRows };
/** What is known of an optimizer of its kind. */
const ofCg = { method: 'cg', dampingMode: 'tikhonov', preset: 'safe' };

// --- The interfaces, and the sections of the guide -------------------------------------------------------------------
const interfaces = [
  ['lib/layer/options.ts', 'LayerOptions', layer.layerRows],
  ['lib/layer/options.ts', 'CgOptions', layer.cgRows],
  ['lib/layer/options.ts', 'ConjugateGradientOptions', without(layer.conjugateGradientRows, inherited)],
  ['lib/layer/options.ts', 'FisherOperatorOptions', without(layer.fisherOperatorRows, inherited)],
  ['lib/layer/options.ts', 'LayerPreconditionerOptions', without(layer.layerPreconditionerRows, inherited)],
  ['lib/network/options.ts', 'PreconditionerOptions', preconditionerRows],
  ['lib/tfjs/options.ts', 'RecipeOptions', recipeRows],
  ['lib/tfjs/options.ts', 'CgOptimizerOptions', cgOptimizerRows, ofCg],
];
const guide = 'docs/guide.md';
const sections = [
  ['`Preconditioner`', '', preconditionerRows],
  [
    '`cgfac()`',
    'The options of `Preconditioner`, but for `lossReduction` and `accumulationSteps`, which follow from the ' +
      'graph, and `adaptiveDamping` and `adaptiveFraction`, which need the loss after the step. These are of its ' +
      'own, or differ:',
    recipeRows,
  ],
  ["`cgfac({ method: 'cg' })`", "With the paper's algorithm these hold:", cgOptimizerRows, ofCg],
  ['`LayerPreconditioner`', '', layer.layerPreconditionerRows],
  ['`FisherOperator`', '', layer.fisherOperatorRows],
  ['`ConjugateGradient`', '', layer.conjugateGradientRows],
];

// --- Words -----------------------------------------------------------------------------------------------------------
const or = (words) => [words.slice(0, -1).join(', '), ...words.slice(-1)].filter(Boolean).join(' or ');

/** A value as one writes it. */
function shown(value) {
  if (value === undefined) return 'none';
  if (typeof value === 'string') return `'${value}'`;
  if (typeof value !== 'object') return String(value);
  const members = Object.entries(value).map(([name, member]) => `${name}: ${shown(member)}`);
  return `\`{ ${members.join(', ')} }\``;
}

/** What is asked of another option. */
function termWords([name, term]) {
  if (Array.isArray(term)) return `\`${name}\` ${or(term.map(shown))}`;
  return 'below' in term ? `\`${name}\` below ${term.below}` : `\`${name}\``;
}

const conditionWords = (where) => Object.entries(where).map(termWords).join(' and ');
const conditionOf = (where) => ('absent' in Object.values(where)[0] ? 'without ' : 'with ') + conditionWords(where);

/** What of a condition is not known to hold; `undefined` where it is known not to. */
function openTerms(where, known) {
  const entries = Object.entries(where).filter(([name]) => !(name in known));
  const settled = Object.entries(where).every(([name, term]) => !(name in known) || term.includes(known[name]));
  return settled ? Object.fromEntries(entries) : undefined;
}

/** The cases of a default: conditions in words, and the value in words; the last one has no condition. */
function cases(row, known) {
  if ('value' in row) return [[undefined, shown(row.value)]];
  if ('words' in row) return [[undefined, row.words]];
  if ('by' in row) return [[undefined, byWords(row, known)]];
  const open = openTerms(row.where, known);
  if (open === undefined) return cases(row.otherwise, known);
  if (Object.keys(open).length === 0) return cases(row.then, known);
  return [[conditionWords(open), defaultWords(row.then, known)], ...cases(row.otherwise, known)];
}

/** The value of the first name, and in brackets those of the names that have another one. */
function byWords({ by, values }, known) {
  if (by in known) return shown(values[known[by]]);
  const [[, first], ...rest] = Object.entries(values).map(([name, value]) => [name, shown(value)]);
  const others = [...new Set(rest.map(([, value]) => value))].filter((value) => value !== first);
  const brackets = others.map((other) => {
    const names = rest.filter(([, value]) => value === other).map(([name]) => shown(name));
    return `${other} with \`${by}\` ${or(names)}`;
  });
  return brackets.length === 0 ? first : `${first} (${brackets.join(', ')})`;
}

/** "5 with `method` 'exact'; else 1". */
function defaultWords(row, known = {}) {
  const merged = [];
  for (const [condition, value] of cases(row, known)) {
    const last = merged.at(-1);
    if (last?.value === value && condition !== undefined) last.conditions.push(condition);
    else merged.push({ value, conditions: condition === undefined ? [] : [condition] });
  }
  const words = merged.map(({ value, conditions }) => {
    if (conditions.length > 0) return `${value} with ${or(conditions)}`;
    return merged.length > 1 ? `else ${value}` : value;
  });
  return words.join('; ');
}

/** Where an option may be given, '' for everywhere. */
function onlyWords({ only = [] }, known = {}) {
  const open = only.map((where) => openTerms(where, known)).filter((where) => where && Object.keys(where).length > 0);
  return open.map(conditionOf).join(', ');
}

/** The part of a default where `name` chooses by its value. */
function byIn(tree, name) {
  return tree && (tree.by === name ? tree : (byIn(tree.then, name) ?? byIn(tree.otherwise, name)));
}

/** The defaults that go with a value of an option: those of a preset. */
function companions(name, value) {
  const found = Object.entries(preconditionerRows).flatMap(([other, row]) => {
    const tree = byIn(row.default, name);
    return tree ? [`${other} ${shown(tree.values[value]).replaceAll('`', '')}`] : [];
  });
  return found.join(', ');
}

/** The sentence of one value: what it is, what goes with it, where it may be. */
function valueSentence(name, value, { text, needs = [] }) {
  const asked = needs.map(({ where }) =>
    Object.values(where).some((term) => 'given' in term)
      ? `needs ${conditionWords(where)}`
      : `only with ${conditionWords(where)}`,
  );
  const notes = [companions(name, value), ...asked].filter(Boolean).join('; ');
  return `\`'${value}'\`: ${text}${notes && ` (${notes})`}.`;
}

/** What an option is, and its values. */
function sentences(rows, name) {
  const { text, values = {} } = rows[name];
  const told = Object.entries(values).filter(([, value]) => value.text !== undefined);
  return [text, ...told.map(([value, row]) => valueSentence(name, value, row))].join(' ');
}

const defaultOf = ({ required, default: row }, known) => {
  if (required) return undefined;
  return row === undefined ? 'none' : defaultWords(row, known);
};

// --- TypeScript ------------------------------------------------------------------------------------------------------
/** Words in lines of at most `most` letters. */
function wrapped(text, most) {
  const lines = [''];
  for (const word of text.split(' ')) {
    const line = lines.at(-1);
    if (line !== '' && line.length + 1 + word.length > most) lines.push(word);
    else lines[lines.length - 1] = line === '' ? word : `${line} ${word}`;
  }
  return lines;
}

/** The range of a number, which its type does not tell. */
function rangeOf({ type, expected }) {
  return /^(Schedule<)?number>?$/.test(type) && `${expected[0].toUpperCase()}${expected.slice(1)}.`;
}

function member(rows, name, known) {
  const row = rows[name];
  const only = onlyWords(row, known);
  const otherwise = defaultOf(row, known);
  const end = otherwise === undefined ? 'No default.' : `Default: ${otherwise}.`;
  const text = [sentences(rows, name), rangeOf(row.kind), only && `Only ${only}.`, end].filter(Boolean).join(' ');
  const one = `  /** ${text} */`;
  const lines = wrapped(text, width - '   * '.length).map((line) => `   * ${line}\n`);
  const comment = one.length <= width ? `${one}\n` : `  /**\n${lines.join('')}   */\n`;
  const type = row.kind.type.replaceAll('\n', '\n  ');
  return `${comment}  readonly ${name}${row.required ? '' : '?'}: ${type};\n`;
}

const between = (begin, end) => new RegExp(`(${begin}[^\\n]*\\n)(?:(?!${begin})[\\s\\S])*?([ ]*${end})`);

function replaced(text, pattern, content, place) {
  if (!pattern.test(text)) throw new Error(`${place}: the lines between which the options go are missing`);
  return text.replace(pattern, (_, begin, end) => `${begin}${content}${end}`);
}

function withInterface(text, file, name, rows, known = {}) {
  const members = Object.keys(rows).map((option) => member(rows, option, known));
  const pattern = between(`export interface ${name}\\b[^{]*\\{\\n  // options:begin`, '// options:end');
  return replaced(text, pattern, members.join(''), `${file}, ${name}`);
}

// --- Markdown --------------------------------------------------------------------------------------------------------
const cell = (text) => text.replaceAll('|', '\\|');

function section([title, intro, rows, known = {}]) {
  const lines = Object.entries(rows).map(([name, row]) => {
    const otherwise = defaultOf(row, known) ?? 'required';
    const columns = [`\`${name}\``, row.kind.expected, otherwise, onlyWords(row, known), sentences(rows, name)];
    return `| ${columns.map(cell).join(' | ')} |\n`;
  });
  const head = '| option | takes | default | only | what it is |\n|---|---|---|---|---|\n';
  const opening = intro && `${wrapped(intro, prose).join('\n')}\n\n`;
  return `\n### ${title}\n\n${opening}${head}${lines.join('')}`;
}

/** The presets, a column for each option that they have a say in. */
function presetTable() {
  const { values } = preconditionerRows.preset;
  const columns = Object.entries(preconditionerRows).flatMap(([name, row]) => {
    const tree = byIn(row.default, 'preset');
    return tree ? [[name, tree.values]] : [];
  });
  const head = ['preset', 'for', ...columns.map(([name]) => `\`${name}\``)];
  const lines = Object.entries(values).map(([preset, { text }]) =>
    [`\`'${preset}'\``, text.replace(/^for /, ''), ...columns.map(([, by]) => shown(by[preset]))].map(cell).join(' | '),
  );
  return [head.join(' | '), head.map(() => '---').join(' | '), ...lines].map((line) => `| ${line} |\n`).join('');
}

// --- Files -----------------------------------------------------------------------------------------------------------
const files = new Map();
const read = (file) => files.get(file) ?? readFileSync(`${root}${file}`, 'utf8');
for (const [file, ...rest] of interfaces) files.set(file, withInterface(read(file), file, ...rest));
const tables = `${sections.map(section).join('')}\n`;
const inGuide = (name, content) => {
  files.set(guide, replaced(read(guide), between(`<!-- ${name}:begin`, `<!-- ${name}:end`), content, guide));
};
inGuide('options', tables);
inGuide('presets', `\n${presetTable()}\n`);

const stale = [...files].filter(([file, text]) => readFileSync(`${root}${file}`, 'utf8') !== text);
if (process.argv.includes('--check')) {
  for (const [file] of stale) console.error(`${file} is not what the tables of options say: run npm run generate`);
  process.exitCode = stale.length === 0 ? 0 : 1;
} else {
  for (const [file, text] of stale) {
    writeFileSync(`${root}${file}`, text);
    console.log(`wrote ${file}`);
  }
}
