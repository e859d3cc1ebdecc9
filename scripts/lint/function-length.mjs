// A function has at most 60 lines, from its name to its last brace: in TypeScript and in scripts here, in C++ by
// clang-tidy, whose check may not be silenced where it stands. (Biome's rule noExcessiveLinesPerFunction counts neither
// blank lines nor comments, and would have lists of tests be short.)
import ts from 'typescript';
import { filesOf, isExcepted, linesOf, report } from './tree.mjs';

const mostLines = 60;

/** What a function is called, or what it is passed to: `describe`, `describe.each`, `test`. */
function nameOf(node, source) {
  if (node.name) return node.name.getText(source);
  const { parent } = node;
  if (ts.isCallExpression(parent) && parent.arguments.includes(node)) {
    const { expression } = parent;
    return (ts.isCallExpression(expression) ? expression.expression : expression).getText(source);
  }
  return parent.name ? parent.name.getText(source) : '';
}

function functionFindings(path) {
  const source = ts.createSourceFile(path, linesOf(path).join('\n'), ts.ScriptTarget.Latest, true);
  const findings = [];
  const visit = (node) => {
    if (ts.isFunctionLike(node) && node.body) {
      const lineAt = (position) => source.getLineAndCharacterOfPosition(position).line + 1;
      const [first, last] = [lineAt(node.getStart(source)), lineAt(node.end)];
      const length = last - first + 1;
      const name = nameOf(node, source);
      if (length > mostLines && !isExcepted('function-length', path, name))
        findings.push({ path, line: first, message: `${name}: ${length} lines; at most ${mostLines}` });
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return findings;
}

function silencedFindings(path) {
  return linesOf(path).flatMap((line, index) =>
    /NOLINT.*function-size/.test(line) && !isExcepted('function-length', path)
      ? [{ path, line: index + 1, message: 'the check of function lengths is silenced' }]
      : [],
  );
}

report([
  ...filesOf(/\.(ts|mts|cts|mjs|cjs|js)$/).flatMap(functionFindings),
  ...filesOf(/\.(h|cpp)$/).flatMap(silencedFindings),
]);
