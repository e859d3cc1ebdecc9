import { type CopiedAxis, gatherRows, type Reduction, reduce, stridedCopy } from '../../../lib/kernels/array-moves';

const refusedWith = (code: string) => expect.objectContaining({ name: 'CgfacError', code });
const untouched = (out: Float32Array) => out.every((x) => x === 7);

describe('reduce', () => {
  it('reduces along the second and the fourth axis', () => {
    const x = Float32Array.from({ length: 16 }, (_, at) => at);
    const results = (['sum', 'mean', 'max'] as const).map((reduction) => {
      const out = new Float32Array(4);
      reduce(reduction, [2, 2, 2, 2], x, out);
      return [...out];
    });
    expect(results).toEqual([
      [10, 18, 42, 50],
      [2.5, 4.5, 10.5, 12.5],
      [5, 7, 13, 15],
    ]);
  });

  const refused: readonly [
    string,
    Partial<{ reduction: string; extents: number[]; x: number; out: number }>,
    string,
  ][] = [
    ['an x that is too short', { x: 15 }, 'ERR_CGFAC_SHAPE_MISMATCH'],
    ['an out that is too long', { out: 5 }, 'ERR_CGFAC_SHAPE_MISMATCH'],
    ['an extent of 0', { extents: [2, 0, 2, 2] }, 'ERR_CGFAC_INVALID_ARG_VALUE'],
    ['extents of more numbers than there are', { extents: [2 ** 31, 2, 2, 2] }, 'ERR_CGFAC_INVALID_ARG_VALUE'],
    ['another reduction', { reduction: 'median' }, 'ERR_CGFAC_INVALID_ARG_VALUE'],
  ];
  it.each(refused)('refuses %s, and nothing is written', (_, wrong, code) => {
    const given = { reduction: 'sum', extents: [2, 2, 2, 2], x: 16, out: 4, ...wrong };
    const out = new Float32Array(given.out).fill(7);
    const extents = given.extents as [number, number, number, number];
    expect(() => reduce(given.reduction as Reduction, extents, new Float32Array(given.x), out)).toThrow(
      refusedWith(code),
    );
    expect(untouched(out)).toBe(true);
  });
});

describe('stridedCopy', () => {
  it('copies along axes, from and to a place', () => {
    const out = new Float32Array(8);
    stridedCopy(
      [
        [2, 1, 3],
        [2, 3, 1],
      ],
      Float32Array.of(0, 1, 2, 3, 4, 5),
      out,
      1,
      2,
    );
    expect([...out]).toEqual([0, 0, 1, 4, 0, 2, 5, 0]);
  });

  const axes = (...given: CopiedAxis[]) => given;
  const refused: readonly [string, CopiedAxis[], [number, number], string][] = [
    ['a read behind the end', axes([3, 4, 1]), [0, 0], 'ERR_CGFAC_SHAPE_MISMATCH'],
    ['a write behind the end', axes([3, 1, 4]), [0, 0], 'ERR_CGFAC_SHAPE_MISMATCH'],
    ['a first place behind the end', axes(), [8, 0], 'ERR_CGFAC_SHAPE_MISMATCH'],
    [
      'places that overflow',
      axes([2 ** 32 - 1, 2 ** 32 - 1, 1], [2 ** 32 - 1, 2 ** 32 - 1, 1]),
      [0, 0],
      'ERR_CGFAC_SHAPE_MISMATCH',
    ],
    ['an extent of 0', axes([0, 1, 1]), [0, 0], 'ERR_CGFAC_INVALID_ARG_VALUE'],
    ['one place that is written twice', axes([2, 1, 0]), [0, 0], 'ERR_CGFAC_INVALID_ARG_VALUE'],
    ['seventeen axes', Array<CopiedAxis>(17).fill([1, 1, 1]), [0, 0], 'ERR_CGFAC_SHAPE_MISMATCH'],
  ];
  it.each(refused)('refuses %s, and nothing is written', (_, given, [from, to], code) => {
    const out = new Float32Array(8).fill(7);
    expect(() => stridedCopy(given, new Float32Array(8), out, from, to)).toThrow(refusedWith(code));
    expect(untouched(out)).toBe(true);
  });
});

describe('gatherRows', () => {
  const from = Float32Array.of(0, 1, 2, 3, 4, 5);

  it('copies rows by their index', () => {
    const out = new Float32Array(6);
    expect(gatherRows([1, 3, 2], from, Int32Array.of(2, 0, 2), out)).toBe(true);
    expect([...out]).toEqual([4, 5, 0, 1, 4, 5]);
  });

  it.each([[-1], [3], [-(2 ** 31)]])('says that %d is out of range, and writes nothing', (id) => {
    const out = new Float32Array(4).fill(7);
    expect(gatherRows([1, 3, 2], from, Int32Array.of(0, id), out)).toBe(false);
    expect(untouched(out)).toBe(true);
  });

  const refused: readonly [string, [number, number, number], number, string][] = [
    ['rows that there are not', [1, 4, 2], 4, 'ERR_CGFAC_SHAPE_MISMATCH'],
    ['an out of another size', [1, 3, 2], 5, 'ERR_CGFAC_SHAPE_MISMATCH'],
    ['rows of no numbers', [1, 3, 0], 4, 'ERR_CGFAC_INVALID_ARG_VALUE'],
  ];
  it.each(refused)('refuses %s, and nothing is written', (_, sizes, length, code) => {
    const out = new Float32Array(length).fill(7);
    expect(() => gatherRows(sizes, from, Int32Array.of(0, 1), out)).toThrow(refusedWith(code));
    expect(untouched(out)).toBe(true);
  });
});
