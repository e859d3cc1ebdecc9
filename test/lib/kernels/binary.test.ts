import { batchNormalization, binaryFunction, castNumbers, selectNumbers } from '../../../lib/kernels/binary';

type BatchNormalization = Parameters<typeof batchNormalization>[0];
interface BinaryArrays {
  readonly function: Parameters<typeof binaryFunction>[0];
  readonly shapes: Uint32Array;
  readonly a: Float32Array | Uint8Array;
  readonly b: Float32Array | Uint8Array;
  readonly out: Float32Array | Uint8Array;
}
interface CastArrays {
  readonly x: Float32Array | Int32Array;
  readonly out: Int32Array | Uint8Array;
}
interface SelectArrays {
  readonly condition: Uint8Array;
  readonly yes: Float32Array | Int32Array;
  readonly no: Float32Array | Int32Array;
  readonly out: Float32Array | Int32Array;
}
const binary = ({ function: name, shapes, a, b, out }: BinaryArrays) => binaryFunction(name, shapes, a, b, out);
const cast = ({ x, out }: CastArrays) => castNumbers(x, out);
const select = ({ condition, yes, no, out }: SelectArrays) => selectNumbers(condition, yes, no, out);

const refusal = (code: string) => expect.objectContaining({ name: 'CgfacError', code });
const MISMATCH = 'ERR_CGFAC_SHAPE_MISMATCH';
const INVALID = 'ERR_CGFAC_INVALID_ARG_VALUE';
const float64 = (length: number) => new Float64Array(length) as unknown as Float32Array;

/** Runs a call that is to be refused with an `out` full of sevens, and checks that they are all left. */
function refused<T extends { readonly out: { fill(x: number): unknown; every(is: (x: number) => boolean): boolean } }>(
  run: (arrays: T) => void,
  given: T,
  code: string,
): void {
  given.out.fill(7);
  expect(() => run(given)).toThrow(refusal(code));
  expect(given.out.every((x) => x === 7)).toBe(true);
}

describe('functions of two arrays', () => {
  test('numbers, relations and truth values', () => {
    const [a, b] = [Float32Array.of(1, 2, 3, 4, 5, 6), Float32Array.of(10, 20, 30)];
    const shapes = Uint32Array.of(2, 3, 1, 3);
    const out = new Float32Array(6);
    binary({ function: 'add', shapes, a, b, out });
    expect([...out]).toEqual([11, 22, 33, 14, 25, 36]);
    const truths = new Uint8Array(6);
    binary({ function: 'less', shapes: Uint32Array.of(6, 1), a, b: Float32Array.of(3), out: truths });
    expect([...truths]).toEqual([1, 1, 0, 0, 0, 0]);
    binary({
      function: 'xor',
      shapes: Uint32Array.of(6, 1),
      a: truths.slice(),
      b: Uint8Array.of(1),
      out: truths,
    });
    expect([...truths]).toEqual([0, 0, 1, 1, 1, 1]);
  });

  const wrong: readonly [string, Partial<BinaryArrays>, string][] = [
    ['an a that is too short', { a: new Float32Array(5) }, MISMATCH],
    ['a b that is too long', { b: new Float32Array(6) }, MISMATCH],
    ['an out that is too short', { out: new Float32Array(3) }, MISMATCH],
    ['an a of another type', { a: float64(6) }, MISMATCH],
    ['an out of bytes', { out: new Uint8Array(6) }, MISMATCH],
    ['numbers for a function of bytes', { function: 'and' }, MISMATCH],
    ['an out of numbers for a relation', { function: 'equal' }, MISMATCH],
    ['an unknown function', { function: 'power' as 'add' }, INVALID],
    ['shapes that do not meet', { shapes: Uint32Array.of(2, 3, 1, 2) }, MISMATCH],
    ['shapes of different ranks', { shapes: Uint32Array.of(2, 3, 3) }, MISMATCH],
    ['an extent of 0', { shapes: Uint32Array.of(0, 3, 1, 3) }, MISMATCH],
    ['shapes that are no Uint32Array', { shapes: [2, 3, 1, 3] as unknown as Uint32Array }, MISMATCH],
  ];
  test.each(wrong)('%s: refused, and nothing is written', (_, part, code) => {
    const shapes = Uint32Array.of(2, 3, 1, 3);
    const [a, b, out] = [new Float32Array(6), new Float32Array(3), new Float32Array(6)];
    refused<BinaryArrays>(binary, { function: 'add', shapes, a, b, out, ...part }, code);
  });

  test('extents whose product is beyond any array: refused', () => {
    const shapes = Uint32Array.of(2 ** 31, 2 ** 31, 4, 1, 1, 1);
    const [a, b, out] = [new Float32Array(0), new Float32Array(1), new Float32Array(0)];
    expect(() => binary({ function: 'add', shapes, a, b, out })).toThrow(refusal(MISMATCH));
  });
});

describe('casts', () => {
  test('to integers and to truth values', () => {
    const integers = new Int32Array(3);
    cast({ x: Float32Array.of(-1.5, 2 ** 32 + 512, Number.NaN), out: integers });
    expect([...integers]).toEqual([-1, 512, 0]);
    const truths = new Uint8Array(3);
    cast({ x: Float32Array.of(-0, 0.5, Number.NaN), out: truths });
    expect([...truths]).toEqual([0, 1, 1]);
    cast({ x: Int32Array.of(0, 256, -1), out: truths });
    expect([...truths]).toEqual([0, 1, 1]);
  });

  const wrong: readonly [string, Partial<CastArrays>][] = [
    ['arrays of different lengths', { x: new Float32Array(4) }],
    ['an x of another type', { x: float64(3) }],
    ['an x of the type of out', { x: new Int32Array(3) }],
    ['an out of another type', { out: new Float32Array(3) as unknown as Int32Array }],
  ];
  test.each(wrong)('%s: refused, and nothing is written', (_, part) => {
    refused<CastArrays>(cast, { x: new Float32Array(3), out: new Int32Array(3), ...part }, MISMATCH);
  });
});

describe('choices', () => {
  test('of any type', () => {
    const condition = Uint8Array.of(1, 0);
    for (const Type of [Float32Array, Int32Array, Uint8Array]) {
      const out = new Type(2);
      selectNumbers(condition, Type.of(1, 2), Type.of(3, 4), out);
      expect([...out]).toEqual([1, 4]);
    }
  });

  const wrong: readonly [string, Partial<SelectArrays>][] = [
    ['a condition of another length', { condition: new Uint8Array(3) }],
    ['a condition of numbers', { condition: new Float32Array(2) as unknown as Uint8Array }],
    ['one of another length', { yes: new Float32Array(3) }],
    ['the other one of another type', { no: new Int32Array(2) }],
    ['an out of another type', { out: new Int32Array(2) }],
  ];
  test.each(wrong)('%s: refused, and nothing is written', (_, part) => {
    const [condition, yes, no, out] = [
      new Uint8Array(2),
      new Float32Array(2),
      new Float32Array(2),
      new Float32Array(2),
    ];
    refused<SelectArrays>(select, { condition, yes, no, out, ...part }, MISMATCH);
  });
});

describe('normalised columns', () => {
  const given = (): BatchNormalization => ({
    mean: Float32Array.of(1, 2),
    variance: Float32Array.of(3, 8),
    scale: Float32Array.of(2, 3),
    offset: Float32Array.of(10, 20),
    epsilon: 1,
    x: Float32Array.of(3, 2, 1, 5),
    out: new Float32Array(4),
  });

  test('with and without scale and offset', () => {
    const { out, ...rows } = given();
    batchNormalization({ ...rows, out });
    expect([...out]).toEqual([12, 20, 10, 23]);
    batchNormalization({ ...rows, scale: undefined, offset: undefined, out });
    expect([...out]).toEqual([1, 0, 0, 1]);
  });

  const wrong: readonly [string, Partial<BatchNormalization>][] = [
    ['an x of no whole rows', { x: new Float32Array(5) }],
    ['no means', { mean: new Float32Array(0) }],
    ['a variance too few', { variance: new Float32Array(1) }],
    ['a scale too many', { scale: new Float32Array(3) }],
    ['an offset of another type', { offset: float64(2) }],
    ['an out of another length', { out: new Float32Array(2) }],
  ];
  test.each(wrong)('%s: refused, and nothing is written', (_, part) => {
    refused<BatchNormalization>(batchNormalization, { ...given(), ...part }, MISMATCH);
  });
});
