// Every declaration that a header of binding/ offers has a comment, /// or //, that is a sentence and stands alone.
//
// The rule, on headers as clang-format leaves them (a declaration begins on a line of its own):
//   - at the level of a namespace each type, alias and constant has its comment right above, but not what is declared
//     ahead of its definition (`class X;`);
//   - a function, there or in a public section, has a comment right above, or stands in a run of declarations without
//     a blank line, of which the first has one. A member that is defined on its first line tells by that what it is,
//     and constructors, destructors and what is `= default` or `= delete` are told of with the class;
//   - data members, enumerators and whatever is private or protected may have comments and need none.
import { sentenceFault } from './sentence.mjs';
import { filesOf, isExcepted, linesOf, report } from './tree.mjs';

const fewestWords = 3;

/** A line without its comment and without what its literals hold, so that braces are braces. */
function codeOf(line) {
  return line
    .replace(/"(\\.|[^"\\])*"/g, '""')
    .replace(/'(\\.|[^'\\])'/g, "''")
    .replace(/\/\/.*$/, '')
    .trimEnd();
}

const typeHead = new RegExp(
  /^(?:template <.*?> ?(?:requires ?\(.*?\) ?)?)?(class|struct|union|enum(?: class)?)\s+/.source +
    /(?:\[\[\w+\]\]\s*)?(?:alignas\(.*?\)\s*)?(\w+)/.source,
);

/** What a declaration opens when its brace comes: a namespace, a type with its name, or a body. */
function scopeOf(declaration) {
  if (/^(inline )?namespace\b/.test(declaration)) return { kind: 'namespace', open: true };
  const [, word, name] = typeHead.exec(declaration) ?? [];
  const isFunction = /^[^{]*\)\s*(const|noexcept|override)*\s*\{/.test(declaration);
  if (word === undefined || word.startsWith('enum') || isFunction) return { kind: 'body', open: false };
  return { kind: 'type', name, open: word !== 'class' };
}

/** The first paragraph of the comment that ends on the line before `index`, in one line; nothing without a comment. */
function commentAbove(lines, index) {
  const texts = [];
  for (let at = index - 1; at >= 0; at--) {
    const found = /^\s*\/\/[/!]?\s?(.*)$/.exec(lines[at]);
    if (!found || /^\s*\/\/ NOLINT/.test(lines[at])) break;
    texts.unshift(found[1]);
  }
  if (texts.length === 0) return undefined;
  // what is indented, or stands behind an empty line, is a listing or more to read
  const rest = texts.findIndex((text) => text === '' || /^ {2}/.test(text));
  if (rest < 0) return texts.join(' ');
  return texts.slice(0, rest).join(' ').replace(/:$/, '.');
}

/** The declarations of namespaces and public sections, each with its lines and the scope that it stands in. */
function declarationsOf(lines) {
  const found = [];
  const scopes = [{ kind: 'namespace', open: true }];
  let current;
  let parentheses = 0;
  lines.forEach((line, index) => {
    const code = codeOf(line);
    const scope = scopes.at(-1);
    if (code.startsWith('#') || code.trim() === '') return;
    const access = /^\s*(public|protected|private):$/.exec(code);
    if (access) {
      scope.open = access[1] === 'public';
      return;
    }
    current ??= { first: index, text: '', scope: { ...scope }, body: false };
    current.text += `${current.text === '' ? '' : ' '}${code.trim()}`;
    for (const sign of code) {
      if (sign === '(') parentheses++;
      if (sign === ')') parentheses--;
      if (sign === '{') {
        const opened = parentheses === 0 && scopes.at(-1).kind !== 'body' ? scopeOf(current.text) : { kind: 'body' };
        scopes.push(opened);
        if (opened.kind !== 'body') {
          if (opened.kind === 'type') found.push(current);
          current = undefined;
        }
      }
      if (sign === '}') scopes.pop();
    }
    const ended = /[;}]$/.test(code) && parentheses === 0 && scopes.at(-1).kind !== 'body';
    if (current && ended) {
      if (!/^\};?$/.test(current.text)) found.push({ ...current, last: index });
      current = undefined;
    }
  });
  return found;
}

/** Whether a comment must be found: right above, in the run of lines, or not at all. */
function demandOf({ text, scope, first, last }) {
  if (!scope.open) return 'none';
  if (scope.kind === 'namespace') {
    if (/^(template <.*> )?(class|struct|enum class) \w+;$|^using namespace\b/.test(text)) return 'none';
    return /^(template <.*?> )?(class|struct|enum|using|concept)\b/.test(text) || !/\(/.test(text) ? 'above' : 'run';
  }
  const plain = text
    .replace(/\[\[\w+\]\]\s*/g, '')
    .replace(/^template <.*?> /, '')
    .replace(/^requires ?\((?:[^()]|\([^()]*\))*\) /, '');
  if (/= (default|delete);$/.test(plain)) return 'none';
  // the comment is that of what it overrides
  if (/\boverride\b/.test(plain)) return 'none';
  if (new RegExp(`^(explicit\\s|constexpr\\s|virtual\\s|~)*~?${scope.name}\\(`).test(plain)) return 'none';
  if (!/\(/.test(plain) || /^(using|friend|static constexpr|static_assert)\b/.test(plain)) return 'none';
  if (/^[\w:<>,*&\s]+(\{.*\}|= .*)?;$/.test(plain)) return 'none';
  if (/\bstd::function</.test(plain) && /;$/.test(plain) && !/^[^<(]*\(/.test(plain)) return 'none';
  return first === last && /\}$/.test(plain) ? 'none' : 'run';
}

function findingsOf(path) {
  const lines = linesOf(path);
  return declarationsOf(lines).flatMap((declaration) => {
    const demand = demandOf(declaration);
    if (demand === 'none') return [];
    let begin = declaration.first;
    if (demand === 'run') while (lines[begin - 1]?.trim() && !/^\s*(\/\/|\w+:$)|\{$/.test(lines[begin - 1])) begin--;
    const comment = commentAbove(lines, begin);
    const fault = comment === undefined ? 'has no comment' : sentenceFault(comment, fewestWords);
    const name = declaration.text.replace(/^(\[\[\w+\]\] )?/, '').slice(0, 60);
    return fault ? [{ path, line: declaration.first + 1, message: `${name} ${fault}` }] : [];
  });
}

report(
  filesOf(/^binding\/.*\.h$/)
    .filter((path) => !isExcepted('cpp-comments', path))
    .flatMap(findingsOf),
);
