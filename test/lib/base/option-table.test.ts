import { CgfacError } from '../../../lib/base/errors';
import { kinds } from '../../../lib/base/kinds';
import { by, is, like, made, type OptionRows, refusedFor, resolveOptions, when } from '../../../lib/base/option-table';

/** A table with every kind of default and of condition. */
const rows = {
  size: { kind: kinds.positiveInteger, required: true, text: 'How many.' },
  copies: { kind: kinds.positiveInteger, default: like<number>('size'), text: 'How many copies.' },
  mode: { kind: kinds.choice(['plain', 'fancy', 'odd']), default: is('plain'), text: 'How.' },
  colour: {
    kind: kinds.choice(['red', 'blue']),
    default: when({ mode: ['fancy'], size: { below: 10 } }, is('red'), is('blue')),
    values: { red: { needs: [{ where: { mode: ['fancy', 'odd'] }, because: 'plain things are blue' }] } },
    text: 'Which colour.',
  },
  weight: { kind: kinds.positive, default: by('mode', { plain: 1, fancy: 2, odd: 3 }), text: 'How heavy.' },
  price: { kind: kinds.positive, only: [{ mode: ['fancy'], colour: ['red'] }], text: 'How dear.' },
  label: {
    kind: kinds.choice(['a', 'b']),
    default: when({ price: { given: true } }, is('b'), is('a')),
    text: 'Which.',
  },
  plain: { kind: kinds.boolean, default: is(false), only: [{ price: { absent: 'one' } }], text: 'Whether.' },
  tags: {
    kind: kinds.choice(['x', 'y']),
    values: { y: { needs: [{ where: { price: { given: true } } }] } },
    text: 'What.',
  },
  list: { kind: kinds.nonNegative, default: made(() => 7, 'seven'), text: 'What else.' },
} satisfies OptionRows;

const resolve = (options: unknown) => resolveOptions(rows, options, 'Thing');
const refusal = (options: unknown, resolving = resolve) => {
  try {
    resolving(options);
  } catch (error) {
    if (error instanceof CgfacError) return [error.code, error.message];
    throw error;
  }
  return undefined;
};

test('defaults: the same everywhere, by another option, by conditions, of another option, made', () => {
  expect(resolve({ size: 4 })).toEqual({
    size: 4,
    copies: 4,
    mode: 'plain',
    colour: 'blue',
    weight: 1,
    price: undefined,
    label: 'a',
    plain: false,
    tags: undefined,
    list: 7,
  });
  expect(resolve({ size: 4, mode: 'fancy' })).toMatchObject({ colour: 'red', weight: 2 });
  expect(resolve({ size: 10, mode: 'fancy' })).toMatchObject({ colour: 'blue', weight: 2 });
  expect(resolve({ size: 4, mode: 'fancy', price: 3 })).toMatchObject({ price: 3, label: 'b' });
});

test('what is given stands, undefined is not given', () => {
  expect(resolve({ size: 4, copies: 1, colour: undefined, weight: 0.5, list: 0 })).toMatchObject({
    copies: 1,
    colour: 'blue',
    weight: 0.5,
    list: 0,
  });
});

const value = 'ERR_CGFAC_INVALID_ARG_VALUE';
const missing = 'ERR_CGFAC_MISSING_OPTION';
test.each([
  [{}, missing, 'Expected a positive integer for size of Thing, which has no default, but received undefined'],
  [{ size: 0 }, value, 'Expected a positive integer below 2^31 for size but received 0'],
  [{ size: '4' }, 'ERR_CGFAC_INVALID_ARG_TYPE', "Expected a positive integer for size but received '4'"],
  [
    { size: 4, colour: 'red' },
    value,
    "Expected 'fancy' or 'odd' with colour 'red' (plain things are blue) for mode but received 'plain'",
  ],
  [
    { size: 4, price: 1 },
    value,
    "Expected mode 'fancy' with colour 'red' with the option price but received 'plain' with 'blue'",
  ],
  // a condition that fails comes before the value
  [
    { size: 4, price: -1 },
    value,
    "Expected mode 'fancy' with colour 'red' with the option price but received 'plain' with 'blue'",
  ],
  [{ size: 4, mode: 'fancy', price: -1 }, value, 'Expected a finite number > 0 for price but received -1'],
  [
    { size: 4, mode: 'fancy', price: 1, plain: true },
    value,
    'Expected no price with the option plain but received one',
  ],
  [{ size: 4, tags: 'y' }, missing, "Expected a number > 0 for price of Thing with tags 'y' but received undefined"],
  [
    { size: 4, sise: 4 },
    'ERR_CGFAC_UNKNOWN_OPTION',
    `Expected one of ${Object.keys(rows).join(', ')} for an option of Thing but received 'sise'; did you mean 'size'?`,
  ],
  [3, 'ERR_CGFAC_INVALID_ARG_TYPE', 'Expected an options object for the options of Thing but received 3'],
])('%j is refused', (options, code, message) => {
  expect(refusal(options)).toEqual([code, message]);
});

test('an option that is false asks for nothing', () => {
  expect(resolve({ size: 4, mode: 'fancy', price: 1, plain: false })).toMatchObject({ plain: false, price: 1 });
  expect(refusal({ size: 4, price: false })).toEqual([
    'ERR_CGFAC_INVALID_ARG_TYPE',
    'Expected a number > 0 for price but received false',
  ]);
});

test('a refusal may name the option that is not met', () => {
  expect(refusal({ size: 4, price: 1 }, (options) => resolveOptions(rows, options, 'Thing', refusedFor))).toEqual([
    value,
    "Expected 'fancy' with the option price for mode but received 'plain'",
  ]);
});
