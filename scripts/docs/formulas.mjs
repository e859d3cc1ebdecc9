// The formulas of the documents, which are plain text there, as MathML: a browser draws it without fonts or scripts.
import temml from 'temml';

const superscripts = {
  '⁰': '0',
  '¹': '1',
  '²': '2',
  '³': '3',
  '⁴': '4',
  '⁵': '5',
  '⁶': '6',
  '⁷': '7',
  '⁸': '8',
  '⁹': '9',
};
const raised = { ...superscripts, '⁻': '-', ᵀ: '\\mathsf{T}', '⁺': '+' };
const marks = { '\u0302': '\\hat', '\u0303': '\\tilde', '\u0304': '\\bar' };
const signs = {
  '⟨': '\\langle ',
  '⟩': '\\rangle ',
  '⌊': '\\lfloor ',
  '⌋': '\\rfloor ',
  '‖': '\\| ',
  '·': '\\cdot ',
  '∘': '\\circ ',
  '×': '\\times ',
  '≤': '\\le ',
  '≥': '\\ge ',
  '≠': '\\ne ',
  '≈': '\\approx ',
  '←': '\\leftarrow ',
  '→': '\\to ',
  '−': '-',
  '∂': '\\partial ',
  Σ: '\\sum ',
  '½': '\\tfrac{1}{2}',
  '∈': '\\in ',
  '⊗': '\\otimes ',
  α: '\\alpha ',
  β: '\\beta ',
  γ: '\\gamma ',
  δ: '\\delta ',
  ε: '\\varepsilon ',
  η: '\\eta ',
  κ: '\\kappa ',
  λ: '\\lambda ',
  μ: '\\mu ',
  ν: '\\nu ',
  π: '\\pi ',
  ρ: '\\rho ',
  σ: '\\sigma ',
  τ: '\\tau ',
  φ: '\\varphi ',
  Λ: '\\Lambda ',
  '…': '\\dots ',
  ℓ: '\\ell ',
  '≪': '\\ll ',
  '≫': '\\gg ',
  '±': '\\pm ',
  '=': '=',
  '§': '\\S',
  '+': '+',
  '/': '/',
  ',': ',',
  ';': ';',
  ':': ':',
  '|': '|',
  "'": "'",
  '(': '(',
  ')': ')',
  '[': '[',
  ']': ']',
  '.': '.',
  '-': '-',
  '<': '<',
  '>': '>',
};
/** Names of several letters that are functions or values; any other word is text. */
const functions = ['min', 'max', 'exp', 'tr', 'diag', 'mean', 'clamp', 'vec', 'ln', 'dim', 'FV', 'factor', 'klClip'];

const lowered = { '₀': '0', '₁': '1', '₂': '2' };
const letters = /^[A-Za-z]+/;

/** Where the bracket that opens at a place closes. */
function closing(text, open) {
  let depth = 0;
  for (let at = open; at < text.length; at++) {
    if ('([{'.includes(text[at])) depth++;
    if (')]}'.includes(text[at]) && --depth === 0) return at;
  }
  throw new Error(`Expected a bracket that closes in "${text}" but received none`);
}

/** What stands below: letters, digits and signs up to a blank, commas between them, or what is in brackets. */
function subscript(text, at) {
  if (text[at] === '(') {
    const end = closing(text, at);
    return { tex: texOf(text.slice(at + 1, end)), end: end + 1 };
  }
  const [own] = /^[A-Za-z0-9α-ω]+(,[A-Za-z0-9α-ω]+)*/u.exec(text.slice(at)) ?? [];
  if (own === undefined) throw new Error(`Expected an index in "${text}" at ${at} but received none`);
  const parts = own.split(',').map((part) => (part.length > 2 && letters.test(part) ? word(part) : symbols(part)));
  return { tex: parts.join(','), end: at + own.length };
}

const symbols = (text) => [...text].map((sign) => signs[sign] ?? sign).join('');
const word = (name) => (functions.includes(name) ? `\\operatorname{${name}}` : `\\text{${name}}`);

/** The next piece of a formula as TeX, and where it ends. */
function piece(text, at) {
  const sign = text[at];
  if (sign === '_') {
    const { tex, end } = subscript(text, at + 1);
    return { tex: `_{${tex}}`, end };
  }
  if (sign === '^') {
    const end =
      text[at + 1] === '('
        ? closing(text, at + 1) + 1
        : at + 1 + /^-?[A-Za-z0-9α-ω]+/u.exec(text.slice(at + 1))[0].length;
    return { tex: `^{${texOf(text.slice(at + 1, end).replace(/^\((.*)\)$/, '$1'))}}`, end };
  }
  if (sign === '√') {
    const bracket = text[at + 1] === '(';
    const end = bracket
      ? closing(text, at + 1) + 1
      : at + 1 + /^[A-Za-zα-ω](_[A-Za-z0-9,]+)?/u.exec(text.slice(at + 1))[0].length;
    const under = text.slice(at + 1, end);
    return { tex: `\\sqrt{${texOf(bracket ? under.slice(1, -1) : under)}}`, end };
  }
  if (lowered[sign] !== undefined) return { tex: `_{${lowered[sign]}}`, end: at + 1 };
  if (raised[sign] !== undefined) {
    let end = at;
    while (raised[text[end]] !== undefined) end++;
    return { tex: `^{${[...text.slice(at, end)].map((each) => raised[each]).join('')}}`, end };
  }
  if (marks[text[at + 1]] !== undefined) return { tex: `${marks[text[at + 1]]}{${sign}}`, end: at + 2 };
  if (sign === ' ') {
    let end = at;
    while (text[end] === ' ') end++;
    return { tex: end - at >= 2 ? '\\qquad ' : '\\, ', end };
  }
  const [run] = letters.exec(text.slice(at)) ?? [];
  if (run !== undefined) return run.length > 1 ? words(text, at) : { tex: run, end: at + 1 };
  if (/[0-9]/.test(sign)) {
    const [number] = /^[0-9]+(\.[0-9]+)?/.exec(text.slice(at));
    return { tex: number, end: at + number.length };
  }
  if (signs[sign] === undefined) throw new Error(`Expected a sign that is known in "${text}" but received "${sign}"`);
  return { tex: signs[sign], end: at + 1 };
}

/** A name that is a function, or products of letters, or words of a sentence with their blanks. */
function words(text, at) {
  const [run] = letters.exec(text.slice(at));
  if (functions.includes(run)) return { tex: `\\operatorname{${run}}`, end: at + run.length };
  // matrices beside each other: KS, KI, PP
  if (run.length === 2 && run === run.toUpperCase()) return { tex: run, end: at + 2 };
  if (run.length <= 2 && !['of', 'if', 'in', 'as', 'by', 'is', 'or'].includes(run))
    return { tex: run, end: at + run.length };
  const [sentence] = /^[A-Za-z]+(,? [A-Za-z]{2,})*/.exec(text.slice(at));
  const kept = sentence.split(' ').findIndex((each, place) => place > 0 && functions.includes(each.replace(',', '')));
  const own = kept === -1 ? sentence : sentence.split(' ').slice(0, kept).join(' ');
  return { tex: `\\text{${own}}`, end: at + own.length };
}

/** A formula of plain text as TeX; throws where it has a sign that is not known. */
export function texOf(formula) {
  // accents apart from their letters, but not the stroke of ≠ from its sign
  const text = formula.normalize('NFD').replaceAll('=\u0338', '≠');
  let tex = '';
  for (let at = 0; at < text.length; ) {
    const next = piece(text, at);
    // a second exponent goes to a group
    if (next.tex.startsWith('^') && tex.endsWith("'")) tex += '{}';
    tex += next.tex;
    at = next.end;
  }
  return tex;
}

/** Of Greek letters few fonts have the slanted forms that a browser takes for variables: the plain ones, slanted. */
const GREEK = 0x1d6fc;
const upright = (html) =>
  html.replace(/<mi>([\u{1d6fc}-\u{1d71b}α-ωΛ])<\/mi>/gu, (_, letter) => {
    const code = letter.codePointAt(0);
    const plain = code < GREEK ? letter : String.fromCodePoint(code - GREEK + 0x3b1);
    const known = { 120598: 'ε', 120599: 'ϑ', 120601: 'φ', 120597: '∂' }[code] ?? plain;
    return `<mi mathvariant="normal" class="greek">${known}</mi>`;
  });

/** Lines of formulas as MathML, each a block of its own. */
export const mathml = (lines) =>
  lines
    .map((line) => upright(temml.renderToString(texOf(line.trim()), { displayMode: true, throwOnError: true })))
    .join('');

/** A document with its formulas, paragraphs that are indented by four, as MathML. */
export function withFormulas(markdown) {
  const code = /^ *```.*?^ *```$/gms;
  const blocks = [];
  const kept = markdown.replace(code, (block) => `\u0000${blocks.push(block) - 1}\u0000`);
  const changed = kept.replace(/(^|\n\n)((?: {4,}\S.*\n?)+)/g, (_, before, block) => {
    const lines = block.trimEnd().split('\n');
    return `${before}<div class="formula" tabindex="0">${mathml(lines)}</div>\n`;
  });
  // biome-ignore lint/suspicious/noControlCharactersInRegex: what stands for a block of code is no sign of a text
  return changed.replace(/\u0000(\d+)\u0000/g, (_, number) => blocks[Number(number)]);
}
