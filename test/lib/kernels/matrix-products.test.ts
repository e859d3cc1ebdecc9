import { info, setThreads } from 'cgfac';
import { type MatrixProducts, matrixProducts } from '../../../lib/kernels/matrix-products';

const [rows, inner, cols] = [2, 3, 2] as const;
const given: MatrixProducts = {
  a: Float32Array.of(1, 2, 3, 4, 5, 6, /* next */ 0, 0, 1, 0, 1, 0),
  b: Float32Array.of(1, 0, 0, 1, 1, 1),
  out: new Float32Array(8),
  pairs: Uint32Array.of(1, 0, 0, 0),
  countA: 2,
  countB: 1,
  rows,
  cols,
  inner,
  transposeA: false,
  transposeB: false,
  bias: undefined,
  activation: 'linear',
  slope: 0,
  slopes: undefined,
};

test('products of pairs, in their order', () => {
  const out = new Float32Array(8);
  matrixProducts({ ...given, out, bias: { values: Float32Array.of(10, 20), shape: [2, 1, 1] } });
  expect(Array.from(out)).toEqual([11, 11, 10, 11, 24, 25, 30, 31]);
});

test('shared memory, and arrays that start anywhere in theirs', () => {
  const shared = new Float32Array(new SharedArrayBuffer(4 * 13), 4, 12);
  shared.set(given.a);
  const out = new Float32Array(new SharedArrayBuffer(4 * 11), 12, 8);
  matrixProducts({ ...given, a: shared, out });
  expect(Array.from(out)).toEqual([1, 1, 0, 1, 4, 5, 10, 11]);
});

const numbers = (count: number) => new Float32Array(count);
const refused: readonly [string, Partial<MatrixProducts>, string][] = [
  ['an A that is too short', { a: numbers(11) }, 'ERR_CGFAC_SHAPE_MISMATCH'],
  ['a B that is too short', { b: numbers(5) }, 'ERR_CGFAC_SHAPE_MISMATCH'],
  ['an out that is too short', { out: numbers(7) }, 'ERR_CGFAC_SHAPE_MISMATCH'],
  ['an out for more pairs', { out: numbers(12) }, 'ERR_CGFAC_SHAPE_MISMATCH'],
  ['an array of another type', { a: new Float64Array(12) as unknown as Float32Array }, 'ERR_CGFAC_SHAPE_MISMATCH'],
  ['pairs of another type', { pairs: new Int32Array(4) as unknown as Uint32Array }, 'ERR_CGFAC_SHAPE_MISMATCH'],
  ['the index of an A that is not there', { pairs: Uint32Array.of(2, 0, 0, 0) }, 'ERR_CGFAC_SHAPE_MISMATCH'],
  ['the index of a B that is not there', { pairs: Uint32Array.of(0, 1, 0, 0) }, 'ERR_CGFAC_SHAPE_MISMATCH'],
  ['no pairs', { pairs: new Uint32Array(0), out: numbers(0) }, 'ERR_CGFAC_INVALID_ARG_VALUE'],
  ['no rows', { rows: 0, a: numbers(0), out: numbers(0) }, 'ERR_CGFAC_INVALID_ARG_VALUE'],
  [
    'sizes whose product wraps around',
    { rows: 2 ** 31, cols: 2 ** 31, inner: 4, a: numbers(0), b: numbers(0) },
    'ERR_CGFAC_INVALID_ARG_VALUE',
  ],
  ['a bias of other extents', { bias: { values: numbers(3), shape: [1, 1, 3] } }, 'ERR_CGFAC_SHAPE_MISMATCH'],
  ['a bias shorter than its extents', { bias: { values: numbers(1), shape: [1, 1, 2] } }, 'ERR_CGFAC_SHAPE_MISMATCH'],
  [
    'slopes shorter than their extents',
    { activation: 'prelu', slopes: { values: numbers(3), shape: [1, 2, 2] } },
    'ERR_CGFAC_SHAPE_MISMATCH',
  ],
  ['prelu without slopes', { activation: 'prelu' }, 'ERR_CGFAC_SHAPE_MISMATCH'],
  ['an unknown activation', { activation: 'tanh' as 'relu' }, 'ERR_CGFAC_INVALID_ARG_VALUE'],
];

test.each(refused)('%s: refused, and nothing is written', (_, wrong, code) => {
  const out = (wrong.out ?? new Float32Array(8)).fill(7);
  expect(() => matrixProducts({ ...given, ...wrong, out })).toThrow(
    expect.objectContaining({ name: 'CgfacError', code }),
  );
  expect(out.every((x) => x === 7)).toBe(true);
});

describe('the same bits for any number of threads', () => {
  const threads = info().threads;
  afterAll(() => setThreads(threads));

  test.each([
    [300, 700, 90],
    [700, 300, 90],
  ])('%i × %i × %i', (m, n, k) => {
    const waves = (count: number) => Float32Array.from({ length: count }, (_, at) => Math.sin(at));
    const [a, b] = [waves(m * k), waves(k * n)];
    const run = (count: number) => {
      setThreads(count);
      const out = new Float32Array(m * n);
      const pairs = Uint32Array.of(0, 0);
      matrixProducts({ ...given, a, b, out, pairs, countA: 1, rows: m, cols: n, inner: k, activation: 'sigmoid' });
      return Buffer.from(out.buffer);
    };
    const alone = run(1);
    expect(alone.equals(run(2))).toBe(true);
    expect(alone.equals(run(3))).toBe(true);
  });
});
