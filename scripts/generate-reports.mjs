// Makes binding/node/convert/reports.h, binding/core/layer/method.h and lib/native/reports.ts of
// binding/node/convert/reports.json, the one definition of the numbers that cross from C++ to JavaScript, and of the
// methods in the table of options, lib/layer/option-rows.ts. With --check it writes nothing, and fails where they are
// stale.
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { exportsOf } from './typescript.mjs';

const path = (name) => fileURLToPath(new URL(`../${name}`, import.meta.url));
const source = 'binding/node/convert/reports.json';
const { enums: counted, reports } = JSON.parse(readFileSync(path(source), 'utf8'));
const methods = Object.keys(exportsOf('lib/layer/option-rows.ts').layerPreconditionerRows.method.values);
const enums = { Method: methods, ...counted };

/** The places of a report, those of the report that it extends first. */
function placesOf(name) {
  return reports[name].flatMap(([place, what]) => (place === '...' ? placesOf(what) : [[place, what]]));
}

/** Names that C++ keeps for itself. */
const keywords = { auto: 'automatic' };

const snake = (name) =>
  keywords[name] ?? name.replace(/-/g, '_').replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
const constant = (name) => `${name[0].toLowerCase()}${name.slice(1)}`;
const sentence = (what) => `${what.replace(/^[a-z](?=[a-z])/, (letter) => letter.toUpperCase())}.`;
const notice = `Made by scripts/generate-reports.mjs of ${source}.`;

function header() {
  const lines = ['#pragma once', '', '#include <cstddef>', '', `/// ${notice}`, 'namespace cgfac::node {', ''];
  for (const [name, values] of Object.entries(enums)) {
    if (name === 'Method') continue; // the core's own
    lines.push(
      `/// The names that a report counts as ${name}.`,
      `enum class Report${name} { ${values.map(snake).join(', ')} };`,
    );
  }
  for (const name of Object.keys(reports)) {
    const places = placesOf(name);
    lines.push('', `/// The places of a report in ${places.length} numbers; NaN for what is not known.`);
    lines.push(`struct ${name} {`, '  enum Place : std::size_t {');
    for (const [place, what] of places) lines.push(`    /// ${sentence(what)}`, `    ${snake(place)},`);
    lines.push('  };', `  static constexpr std::size_t size = ${places.length};`, '};');
  }
  lines.push('', '}  // namespace cgfac::node', '');
  return lines.join('\n');
}

/** The methods as the core has them: an option that is read, and a number of each report. */
function methodHeader() {
  const names = enums.Method.map((name) => `"${name}"`).join(', ');
  return [
    '#pragma once',
    '',
    '#include "core/base/names.h"',
    '',
    `/// ${notice}`,
    'namespace cgfac {',
    '',
    '/// How directions are solved for: automatic chooses one of the others by the estimates of cost.h.',
    `enum class Method { ${enums.Method.map(snake).join(', ')} };`,
    '',
    '/// The names of the methods as options.',
    'template <>',
    `inline constexpr std::array<std::string_view, ${enums.Method.length}> names_of<Method>{${names}};`,
    '',
    '}  // namespace cgfac',
    '',
  ].join('\n');
}

function module() {
  const lines = [`// ${notice}`];
  for (const [name, values] of Object.entries(enums)) {
    lines.push('', `/** The names that ${name} counts in a report. */`);
    const names = values.map((value) => `'${value}'`);
    const line = `export const ${constant(name)}Names = [${names.join(', ')}] as const;`;
    if (line.length <= 120) lines.push(line);
    else lines.push(`export const ${constant(name)}Names = [`, ...names.map((each) => `  ${each},`), '] as const;');
    if (name !== 'Method') continue;
    lines.push('', "/** The method that a direction was solved by: what 'auto' chose, never itself. */");
    lines.push(`export type MethodUsed = ${names.filter((each) => each !== "'auto'").join(' | ')};`);
  }
  for (const name of Object.keys(reports)) {
    const places = placesOf(name);
    lines.push('', `/** The places of a ${name}; NaN stands for what is not known. */`);
    lines.push(`export const ${constant(name)} = {`);
    places.forEach(([place, what], index) => {
      lines.push(`  /** ${sentence(what)} */`, `  ${place}: ${index},`);
    });
    lines.push(
      '} as const;',
      '',
      `/** The length of a ${name}. */`,
      `export const ${constant(name)}Length = ${places.length};`,
    );
  }
  return `${lines.join('\n')}\n`;
}

let stale = false;
for (const [file, text] of [
  ['binding/node/convert/reports.h', header()],
  ['binding/core/layer/method.h', methodHeader()],
  ['lib/native/reports.ts', module()],
]) {
  if (!process.argv.includes('--check')) writeFileSync(path(file), text);
  else if (readFileSync(path(file), 'utf8') !== text) {
    console.error(`${file} is not what scripts/generate-reports.mjs makes of ${source}`);
    stale = true;
  }
}
process.exitCode = stale ? 1 : 0;
