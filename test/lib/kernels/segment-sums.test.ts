import { type SegmentSums, segmentSums } from '../../../lib/kernels/segment-sums';

const ids = Int32Array.of(1, -1, 0, 1, 2);

test('sums of floats and of integers', () => {
  const floats = new Float32Array(2).fill(7);
  segmentSums({ x: Float32Array.of(1, 2, 3, 4.5, 6), ids, width: 1, out: floats });
  expect([...floats]).toEqual([3, 5.5]);
  const integers = new Int32Array(2).fill(7);
  segmentSums({ x: Int32Array.of(1, 2, 3, 2 ** 30, 6), ids, width: 1, out: integers });
  expect([...integers]).toEqual([3, 2 ** 30 + 1]);
});

const refused: readonly [string, Partial<SegmentSums>, string][] = [
  ['an x that is too short', { x: new Float32Array(9) }, 'ERR_CGFAC_SHAPE_MISMATCH'],
  ['an out of another type', { out: new Int32Array(4) }, 'ERR_CGFAC_SHAPE_MISMATCH'],
  ['an out with half a row', { out: new Float32Array(3) }, 'ERR_CGFAC_SHAPE_MISMATCH'],
  ['ids of another type', { ids: new Float32Array(5) as unknown as Int32Array }, 'ERR_CGFAC_SHAPE_MISMATCH'],
  ['rows without numbers', { width: 0, x: new Float32Array(0) }, 'ERR_CGFAC_INVALID_ARG_VALUE'],
];

test.each(refused)('%s: refused, and nothing is written', (_, wrong, code) => {
  const given: SegmentSums = { x: new Float32Array(10), ids, width: 2, out: new Float32Array(4), ...wrong };
  given.out.fill(7);
  expect(() => segmentSums(given)).toThrow(expect.objectContaining({ name: 'CgfacError', code }));
  expect(given.out.every((x) => x === 7)).toBe(true);
});
