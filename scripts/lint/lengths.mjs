// A line has at most 120 characters, a file of code at most 350 lines. Characters are code points, so that a formula
// costs what it shows. In Markdown, whose files are as long as their subject, tables are aside, and the targets of
// links are not counted: neither can be broken. Golden cases and other data are no code.
import { filesOf, isExcepted, linesOf, report, root } from './tree.mjs';

const mostCharacters = 120;
const mostLines = 350;
const code = /(\.(ts|mts|cts|mjs|cjs|js|sh|py|h|cpp|cmake)|(^|\/)CMakeLists\.txt|^\.ci\/run|^\.clang-tidy)$/;
const prose = /\.md$/;

/** The line as a reader of Markdown sees its length: no table row, and of a link its text. */
function proseOf(line) {
  if (/^\s*\|/.test(line)) return '';
  return line.replace(/\]\([^)\s]*\)/g, ']()').replace(/https?:\/\/[^\s)>]+/g, '');
}

function lineFindings(path) {
  const lines = linesOf(path).map((line) => (prose.test(path) ? proseOf(line) : line));
  return lines.flatMap((line, index) => {
    const { length } = [...line];
    const message = `a line of ${length} characters; at most ${mostCharacters}`;
    return length > mostCharacters ? [{ path, line: index + 1, message }] : [];
  });
}

function fileFindings(path) {
  const { length } = linesOf(path);
  const message = `a file of ${length} lines; at most ${mostLines}`;
  return length > mostLines ? [{ path, line: mostLines + 1, message }] : [];
}

const sources = filesOf(code);
if (sources.length === 0) throw new Error(`no files of code below ${root}`);
report([
  ...[...sources, ...filesOf(prose)].filter((path) => !isExcepted('line-length', path)).flatMap(lineFindings),
  ...sources.filter((path) => !isExcepted('file-length', path)).flatMap(fileFindings),
]);
