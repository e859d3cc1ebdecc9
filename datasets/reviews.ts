/**
 * Short reviews of films that are made up, good ones and bad ones. What a review says depends on the order of its
 * words, for one clause of five is negated; and not all of its clauses say what it means, so that no model is always
 * right.
 */
import { uniformNumbers } from './random';

const list = (words: string): readonly string[] => words.split(' ');

const SUBJECTS = list(
  'plot acting music script ending cast story dialogue humour pace camera hero villain opening sound picture idea ' +
    'scenery beginning direction',
);
const VERBS = list('was is seemed felt looked');
const NEGATIONS = list('not never hardly');
const DEGREES = list('very really quite so rather');
const JOINTS = list('and but while though yet');
const PRAISE = list(
  'good great funny clever moving brilliant charming fresh bold warm sharp lovely gripping honest rich witty superb ' +
    'tender lively subtle elegant exciting graceful vivid wise',
);
const BLAME = list(
  'bad dull boring silly weak awful clumsy stale timid cold flat ugly tedious false poor stupid dreadful harsh tired ' +
    'shallow crude slow confused pale hollow',
);
const SYLLABLES = list('ka lo mi ra ten vor sil du ne ash bel cor fen gul hi jo ky lum mar nox pel qua rin sta tu');

/** Titles of films, each of two syllables: most of them come up in few reviews. */
const TITLES = SYLLABLES.flatMap((first) => SYLLABLES.map((second) => first + second));

/** All words, by id. Id 0 is no word: it fills reviews up. */
export const VOCABULARY: readonly string[] = [
  '',
  ...list('we saw the'),
  ...SUBJECTS,
  ...VERBS,
  ...NEGATIONS,
  ...DEGREES,
  ...JOINTS,
  ...PRAISE,
  ...BLAME,
  ...TITLES,
];

/** Places for words in a review. */
export const REVIEW_LENGTH = 32;

const MOST_CLAUSES = 4;
/** How often a clause says what its review means. */
const FAITHFUL = 0.85;
/** How often a clause is negated. */
const NEGATED = 0.2;

const ids = new Map(VOCABULARY.map((word, id) => [word, id]));

/** The ids of words, with zeros up to the length of a review behind them. */
export function idsOf(words: readonly string[]): Int32Array {
  const review = new Int32Array(REVIEW_LENGTH);
  words.forEach((word, place) => {
    const id = ids.get(word);
    if (id === undefined) throw new RangeError(`Expected a word of the vocabulary but received '${word}'`);
    review[place] = id;
  });
  return review;
}

/** Reviews, and what they mean. */
export interface Reviews {
  /** (count × 32), row-major: the ids of words, zeros behind the last one. */
  readonly ids: Int32Array;
  /** 1 for a good review, 0 for a bad one. */
  readonly labels: Uint8Array;
}

/** The words of reviews, drawn one after the other. */
class Writer {
  readonly #next: () => number;

  constructor(seed: number) {
    this.#next = uniformNumbers(seed);
  }

  chance(probability: number): boolean {
    return this.#next() < probability;
  }

  /** One of the words, the first ones more often: its place is the count of words times the square of a number. */
  word(words: readonly string[]): string {
    return words[Math.floor(words.length * this.#next() ** 2)] ?? '';
  }

  /** "the plot was not very good": praise or blame, and in other words where it is negated. */
  clause(praise: boolean): string[] {
    const negated = this.chance(NEGATED);
    return [
      'the',
      this.word(SUBJECTS),
      this.word(VERBS),
      ...(negated ? [this.word(NEGATIONS)] : []),
      ...(this.chance(1 / 3) ? [this.word(DEGREES)] : []),
      this.word(praise === negated ? BLAME : PRAISE),
    ];
  }

  review(good: boolean): string[] {
    const words = ['we', 'saw', this.word(TITLES)];
    const clauses = 2 + Math.floor((MOST_CLAUSES - 1) * this.#next());
    for (let clause = 0; clause < clauses; clause++) {
      if (clause > 0) words.push(this.word(JOINTS));
      words.push(...this.clause(this.chance(FAITHFUL) ? good : !good));
    }
    return words;
  }
}

/** So many reviews, which follow from the seed. */
export function writeReviews(count: number, seed: number): Reviews {
  const writer = new Writer(seed);
  const all = { ids: new Int32Array(count * REVIEW_LENGTH), labels: new Uint8Array(count) };
  for (let review = 0; review < count; review++) {
    const good = writer.chance(0.5);
    all.labels[review] = good ? 1 : 0;
    all.ids.set(idsOf(writer.review(good)), review * REVIEW_LENGTH);
  }
  return all;
}
