import { type ElementWise, elementWise } from '../../../lib/kernels/element-wise';

test('functions of numbers, in place too', () => {
  const out = new Float32Array(3).fill(7);
  elementWise({ function: 'sqrt', x: Float32Array.of(4, 2.25, -0), out });
  expect([...out]).toEqual([2, 1.5, -0]);
  elementWise({ function: 'elu', x: out, out });
  expect([...out]).toEqual([2, 1.5, -0]);
});

test('of no numbers are none', () => {
  expect(() => elementWise({ function: 'exp', x: new Float32Array(), out: new Float32Array() })).not.toThrow();
});

const refused: readonly [string, Partial<ElementWise>, string][] = [
  ['arrays of different lengths', { x: new Float32Array(3) }, 'ERR_CGFAC_SHAPE_MISMATCH'],
  ['an x of another type', { x: new Int32Array(4) as unknown as Float32Array }, 'ERR_CGFAC_SHAPE_MISMATCH'],
  ['an out of another type', { out: new Float64Array(4) as unknown as Float32Array }, 'ERR_CGFAC_SHAPE_MISMATCH'],
  ['an unknown function', { function: 'cos' as 'exp' }, 'ERR_CGFAC_INVALID_ARG_VALUE'],
];

test.each(refused)('%s: refused, and nothing is written', (_, wrong, code) => {
  const given: ElementWise = { function: 'exp', x: new Float32Array(4), out: new Float32Array(4), ...wrong };
  given.out.fill(7);
  expect(() => elementWise(given)).toThrow(expect.objectContaining({ name: 'CgfacError', code }));
  expect(given.out.every((x) => x === 7)).toBe(true);
});
