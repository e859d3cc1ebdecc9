import { idsOf, REVIEW_LENGTH, VOCABULARY, writeReviews } from '../../datasets/reviews';

const COUNT = 4000;
const { ids, labels } = writeReviews(COUNT, 1);

const review = (i: number): string[] =>
  [...ids.subarray(i * REVIEW_LENGTH, (i + 1) * REVIEW_LENGTH)]
    .filter((id) => id > 0)
    .map((id) => VOCABULARY[id] ?? '');

/** The share of good reviews among those that some words in a row, by a pattern, are part of. */
function share(pattern: RegExp): number {
  const found = Array.from({ length: COUNT }, (_, i) => i).filter((i) => pattern.test(review(i).join(' ')));
  return found.filter((i) => labels[i] === 1).length / found.length;
}

test('words are told apart, and none is twice in the vocabulary', () => {
  expect(new Set(VOCABULARY).size).toBe(VOCABULARY.length);
});

test('a review is a title and two to four clauses, and zeros are behind its words alone', () => {
  for (let i = 0; i < COUNT; i++) {
    const words = review(i);
    expect(words.join(' ')).toMatch(/^we saw \w+( (\w+ )?the \w+ \w+( \w+){1,3}){2,4}$/);
    expect(ids.subarray(i * REVIEW_LENGTH, (i + 1) * REVIEW_LENGTH)).toEqual(idsOf(words));
  }
});

test('half of the reviews are good, and a negation turns around what a word says', () => {
  expect(share(/^/)).toBeCloseTo(0.5, 1);
  expect(share(/\w+ (was|is|seemed|felt|looked) good/)).toBeGreaterThan(0.6);
  expect(share(/(not|never|hardly) good/)).toBeLessThan(0.4);
  expect(share(/\w+ (was|is|seemed|felt|looked) bad/)).toBeLessThan(0.4);
  expect(share(/(not|never|hardly) bad/)).toBeGreaterThan(0.6);
});

test('the same seed writes the same reviews, another one others', () => {
  expect(writeReviews(10, 1).ids).toEqual(ids.subarray(0, 10 * REVIEW_LENGTH));
  expect(writeReviews(10, 2).ids).not.toEqual(ids.subarray(0, 10 * REVIEW_LENGTH));
});

test('a word that is not in the vocabulary is refused', () => {
  expect(() => idsOf(['the', 'zebra'])).toThrow("Expected a word of the vocabulary but received 'zebra'");
});
