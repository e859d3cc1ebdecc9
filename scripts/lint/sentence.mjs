// What a comment must be so that it stands alone when an editor shows it beside a name.

/** Openings that lean on the declaration before: "Of these", "Their names.", "The same for the outputs." */
const leaning = /^(of(?!\s+['`])|its|their|these|those|they|them|it|and|or|but|likewise|ditto|as above|see above)\b/i;
const leaningSame = /^the same(\s+(for|of|with|as|but|by|in|on|to|from|where|when|again|without|above)\b|[.,;:])/i;

/** A capital letter, a digit, a quotation, code or a formula: a symbol, or letters with an operator behind them. */
const symbol = /^([^a-z\s]|tr\b)/u;
const formula = /^([a-z]+[\p{Lu}ᵀ′₀-₉]|\p{L}[\p{L}\p{N}_₀-₉]*\s*[=←↦∈≤≥<>·×+−∘⊗([])/u;

/** A text that is a formula alone, or begins with one, needs no full stop: "y ← y + αx". */
const formulaFirst = /^([⟨‖]|\S+(\s\S+)?\s*[←=↦])/u;

/** What keeps a text from being a sentence of at least `fewest` words, or nothing. */
export function sentenceFault(text, fewest) {
  const words = text.replace(/\s+/g, ' ').trim();
  if (words === '') return 'has a comment without a summary';
  const begin = `"${words.slice(0, 60)}"`;
  if (leaning.test(words) || leaningSame.test(words)) return `has a comment that leans on the one before: ${begin}`;
  if (!symbol.test(words) && !formula.test(words)) return `has a comment that begins with a small letter: ${begin}`;
  if (!/(\.[)”"`]?|```)$/.test(words) && !formulaFirst.test(words))
    return `has a comment without a full stop: "…${words.slice(-60)}"`;
  if (words.split(' ').length < fewest) return `has a comment of fewer than ${fewest} words: ${begin}`;
  return undefined;
}
