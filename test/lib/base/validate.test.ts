import fc from 'fast-check';
import { anyOf, didYouMean, editDistance, nearestName, oneOf, readOptions } from '../../../lib/base/validate';

test('a name too long for a mistake is near to none, and is not compared', () => {
  const close = 'a'.repeat(64);
  expect(nearestName(`${close.slice(1)}b`, [close])).toBe(close);
  const distances = jest.spyOn(Array, 'from');
  expect(nearestName('x'.repeat(2 ** 20), ['damping'])).toBeUndefined();
  expect(nearestName(`${close}a`, [close])).toBeUndefined();
  expect(distances).not.toHaveBeenCalled();
  distances.mockRestore();
});

describe('edit distance', () => {
  test.each([
    ['', '', 0],
    ['', 'abc', 3],
    ['abc', '', 3],
    ['damping', 'damping', 0],
    ['dampng', 'damping', 1],
    ['dampinng', 'damping', 1],
    ['dumping', 'damping', 1],
    ['dapming', 'damping', 1], // two neighbours exchanged
    ['adpming', 'damping', 2],
    ['kitten', 'sitting', 3],
  ])("of '%s' and '%s' is %i", (a, b, distance) => {
    expect(editDistance(a, b)).toBe(distance);
  });

  const word = fc.string({ minLength: 1, maxLength: 12 });

  test('is symmetric, 0 for equal words alone, and at most the longer length', () => {
    fc.assert(
      fc.property(word, word, (a, b) => {
        const distance = editDistance(a, b);
        expect(distance).toBe(editDistance(b, a));
        expect(distance === 0).toBe(a === b);
        expect(distance).toBeLessThanOrEqual(Math.max(a.length, b.length));
        expect(distance).toBeGreaterThanOrEqual(Math.abs(a.length - b.length));
      }),
    );
  });

  test('is 1 after a letter was left out', () => {
    fc.assert(
      fc.property(word, fc.nat(), (a, at) => {
        const index = at % a.length;
        expect(editDistance(a.slice(0, index) + a.slice(index + 1), a)).toBe(1);
      }),
    );
  });
});

describe('the nearest name', () => {
  const known = ['damping', 'dampingMode', 'momentum', 'maxIterations', 'rank', 'kl'];
  test.each([
    ['dampng', 'damping'],
    ['DAMPING', 'damping'],
    ['dampingmode', 'dampingMode'],
    ['iterations', 'maxIterations'],
    ['momentun', 'momentum'],
    ['rnak', 'rank'],
    ['k', undefined], // half of the letters are wrong
    ['norm', undefined],
    ['signal', undefined],
    ['', undefined],
  ])("of '%s' is %s", (name, nearest) => {
    expect(nearestName(name, known)).toBe(nearest);
  });

  test.each([
    ['lr', 'learningRate'],
    ['LR', 'learningRate'],
    ['learning_rate', 'learningRate'],
    ['weight_decay', 'weightDecay'],
    ['wd', 'weightDecay'],
    ['beta1', 'momentum'],
    ['beta_1', 'momentum'],
    ['epsilon', 'damping'],
    ['max_iter', 'maxIterations'],
    ['kl_clip', 'klClip'],
    ['beta2', undefined],
    ['constructor', undefined],
  ])("of another package's '%s' is %s", (name, nearest) => {
    expect(nearestName(name, [...known, 'learningRate', 'weightDecay', 'klClip'])).toBe(nearest);
  });

  test("of another package's name is not one that its owner lacks", () => {
    expect(didYouMean('lr', known)).toBe('');
  });

  test('is none of no names', () => {
    expect(nearestName('damping', [])).toBeUndefined();
  });
});

test('an unknown option is refused, with the name that was meant where there is one', () => {
  const checking = (options: object) => () => readOptions(options, 'Thing', ['damping', 'rank']);
  expect(checking({ damping: 1, rank: 2 })).not.toThrow();
  expect(checking({ dampng: 1 })).toThrow(
    expect.objectContaining({
      code: 'ERR_CGFAC_UNKNOWN_OPTION',
      message: "Expected one of damping, rank for an option of Thing but received 'dampng'; did you mean 'damping'?",
    }),
  );
  expect(checking({ colour: 1 })).toThrow(
    expect.objectContaining({
      code: 'ERR_CGFAC_UNKNOWN_OPTION',
      message: "Expected one of damping, rank for an option of Thing but received 'colour'",
    }),
  );
});

test.each([
  ['CG', "; did you mean 'cg'?"],
  ['exakt', "; did you mean 'exact'?"],
  ['in_out', "; did you mean 'in-out'?"],
  ['adam', ''],
  ['', ''],
])("an unknown value '%s' is refused, with the one that was meant where there is one", (value, question) => {
  expect(() => oneOf(value, 'thing', ['cg', 'exact', 'in-out'])).toThrow(
    expect.objectContaining({
      code: 'ERR_CGFAC_INVALID_ARG_VALUE',
      message: `Expected 'cg' or 'exact' or 'in-out' for thing but received '${value}'${question}`,
    }),
  );
});

test.each([
  [[], ''],
  [['a'], "'a'"],
  [['a', 'b'], "'a' or 'b'"],
  [['a', 'b', 'c'], "'a', 'b' or 'c'"],
])('%j in words', (values, words) => {
  expect(anyOf(values)).toBe(words);
});
