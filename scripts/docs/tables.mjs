// node scripts/docs/tables.mjs [--from out/compare.json] [--check]: the tables of comparisons in README.md and
// docs/results.md, from docs/figures/compare.json, which --from writes anew: what a comparison found without its
// curves, times, layers and pictures.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const root = fileURLToPath(new URL('../../', import.meta.url));
const KEPT = join(root, 'docs/figures/compare.json');

/** What of a comparison the documents tell. */
function essence(comparison) {
  if (comparison.quick) throw new Error('Expected a whole comparison but received a quick one, which says nothing');
  const { made, machine, threads, versions, seeds, reference } = comparison;
  const tasks = comparison.tasks
    .filter(({ unavailable }) => unavailable === undefined)
    .map(({ name, title, program, unit, steps, weights, methods }) => ({
      name,
      title,
      program,
      unit,
      steps,
      weights,
      methods: methods.map(({ name: method, title: called, setting, train, heldOut, marks, bytes, reaches }) => ({
        name: method,
        title: called,
        setting,
        train,
        heldOut,
        marks: { train: marks.train, heldOut: marks.heldOut },
        bytes,
        ...(reaches ? { reaches: { step: reaches.step } } : {}),
      })),
    }));
  return { made, machine, threads, versions, seeds, reference, tasks };
}

/** Three digits, as the report has them. */
export function shown(value) {
  if (value === null) return 'not finite';
  const size = Math.abs(value);
  if (size === 0) return '0';
  if (size >= 1e6 || size < 1e-4) return value.toExponential(2).replace('-', '−');
  return (size >= 1000 ? value.toFixed(0) : value.toPrecision(3)).replace('-', '−');
}

const row = (cells) => `| ${cells.join(' | ')} |`;
const table = ([head, ...rows]) => [row(head), `|${head.map(() => '---').join('|')}|`, ...rows.map(row)].join('\n');
const sign = { won: ' ▲', lost: ' ▼' };

/** Training losses after the last step: a line for each method, a column for each task. */
function glance({ tasks }) {
  const names = [...new Set(tasks.flatMap(({ methods }) => methods.map(({ title }) => title)))];
  const head = ['', ...tasks.map(({ title, steps }) => `${title.toLowerCase()} @${steps}`)];
  const lines = names.map((title) => {
    const cells = tasks.map(({ methods }) => {
      const found = methods.find((method) => method.title === title);
      return found ? `${shown(found.train.mean)}${sign[found.marks.train] ?? ''}` : '';
    });
    return [title === 'cgfac()' ? '`cgfac()`' : title, ...cells];
  });
  return table([head, ...lines]);
}

/** A table for each task: losses, when a method is where Adam ends, and what it keeps. */
function whole({ made, machine, seeds, tasks }) {
  const { cpu, cores, blasCore } = machine;
  const origin = `Seeds ${seeds.join(', ')}; ${cpu}, ${cores} cores, kernel ${blasCore}; ${made.slice(0, 10)}.`;
  const tables = tasks
    .map((task) => {
      const { title, program, unit, steps, methods } = task;
      const lines = methods.map((method) => [
        method.title === 'cgfac()' ? '`cgfac()`' : method.title,
        method.setting === '' ? 'no options' : method.setting,
        `${shown(method.train.mean)}${sign[method.marks.train] ?? ''}`,
        `${shown(method.heldOut.mean)}${sign[method.marks.heldOut] ?? ''}`,
        method.reaches ? String(method.reaches.step) : 'not',
        method.bytes === 0 ? '0' : shown(method.bytes / 2 ** 20),
      ]);
      const head = ['method', 'best of its grid', 'training', 'held out', "as low as Adam's last, at step", 'MiB kept'];
      return `**${title}** (${program}, ${unit} after ${steps} steps)\n\n${table([head, ...lines])}`;
    })
    .join('\n\n');
  return `${origin}\n\n${tables}`;
}

/** The paper's algorithms and the default: training loss, and MiB kept, a line for each task. */
function ofPaper({ seeds, tasks }) {
  const names = ['kfac', 'cg10', 'cg20', 'cgfac'];
  const titles = ['K-FAC, direct', 'CG-FAC, 10', 'CG-FAC, 20', '`cgfac()`'];
  const lines = tasks.map(({ title, unit, steps, methods }) => [
    `${title}, ${unit} @${steps}`,
    ...names.map((name) => {
      const found = methods.find((method) => method.name === name);
      return found ? `${shown(found.train.mean)} · ${shown(found.bytes / 2 ** 20)} MiB` : '';
    }),
  ]);
  return `Seeds ${seeds.join(', ')}:\n\n${table([['', ...titles], ...lines])}`;
}

const blocks = { 'README.md': glance, 'docs/results.md': whole, 'docs/paper.md': ofPaper };

/** A document with its block written anew. */
function written(text, file, comparison) {
  const [begin, end] = ['<!-- compare:begin -->', '<!-- compare:end -->'];
  const [from, to] = [text.indexOf(begin), text.indexOf(end)];
  if (from === -1 || to < from) throw new Error(`Expected ${begin} and ${end} in ${file} but received none`);
  return `${text.slice(0, from + begin.length)}\n\n${blocks[file](comparison)}\n\n${text.slice(to)}`;
}

const { values } = parseArgs({ options: { from: { type: 'string' }, check: { type: 'boolean', default: false } } });
if (values.from !== undefined)
  writeFileSync(KEPT, `${JSON.stringify(essence(JSON.parse(readFileSync(values.from, 'utf8'))), null, 1)}\n`);
const comparison = JSON.parse(readFileSync(KEPT, 'utf8'));
for (const file of Object.keys(blocks)) {
  const text = readFileSync(join(root, file), 'utf8');
  const next = written(text, file, comparison);
  if (next === text) continue;
  if (values.check) {
    console.error(`${file} has another table than docs/figures/compare.json: node scripts/docs/tables.mjs`);
    process.exitCode = 1;
  } else writeFileSync(join(root, file), next);
}
