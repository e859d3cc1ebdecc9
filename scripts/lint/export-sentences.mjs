// Every export of TypeScript has a TSDoc comment whose summary is a sentence of at least four words that stands alone.
// What is documented of an exported class or interface is held to the same, but for the number of words: "Default: 1."
// is enough beside a name. (That everything which the package offers is documented at all, typedoc checks.)
import ts from 'typescript';
import { sentenceFault } from './sentence.mjs';
import { filesOf, isExcepted, linesOf, report } from './tree.mjs';

const fewestWords = 4;

/** The summary of the comment right before a node: its text up to the first block tag. */
function summaryOf(node) {
  const comment = node.jsDoc?.at(-1);
  return comment && (ts.getTextOfJSDocComment(comment.comment) ?? '');
}

function faultOf(node, required, fewest) {
  const summary = summaryOf(node);
  if (summary === undefined) return required ? 'is not documented' : undefined;
  // the class says what a constructor makes; what it throws may stand alone
  if (summary === '' && ts.isConstructorDeclaration(node)) return undefined;
  return sentenceFault(summary, fewest);
}

const isExported = (node) =>
  ts.canHaveModifiers(node) && ts.getModifiers(node)?.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword);

function nameOf(node, source) {
  const named = ts.isVariableStatement(node) ? node.declarationList.declarations[0] : node;
  return named?.name?.getText(source) ?? 'constructor';
}

/** The members of a class, of an interface, or of an object type, at any depth. */
function membersOf(node) {
  const members = [];
  const visit = (child) => {
    if (ts.isClassElement(child) || ts.isTypeElement(child)) members.push(child);
    if (!ts.isBlock(child)) ts.forEachChild(child, visit);
  };
  ts.forEachChild(node, visit);
  return members;
}

function findingsOf(path) {
  const source = ts.createSourceFile(path, linesOf(path).join('\n'), ts.ScriptTarget.Latest, true);
  const findings = [];
  const check = (node, required, fewest, owner) => {
    const fault = faultOf(node, required, fewest);
    const line = source.getLineAndCharacterOfPosition(node.getStart(source)).line + 1;
    if (fault) findings.push({ path, line, message: `${owner}${nameOf(node, source)} ${fault}` });
  };
  const overloaded = new Set();
  for (const statement of source.statements.filter(isExported)) {
    const name = nameOf(statement, source);
    // the comment of a function's first form is that of all its forms
    if (ts.isFunctionDeclaration(statement) && overloaded.has(name)) continue;
    overloaded.add(name);
    check(statement, true, fewestWords, '');
    if (!ts.isVariableStatement(statement) && !ts.isFunctionDeclaration(statement))
      for (const member of membersOf(statement)) check(member, false, 1, `${name}.`);
  }
  return findings;
}

report(
  filesOf(/^(lib|bench|examples|datasets|test\/(.*\/)?support)\/.*\.ts$/)
    .filter((path) => !isExcepted('export-sentences', path))
    .flatMap(findingsOf),
);
