import {
  type ElementWise,
  type ElementWiseGradient,
  elementWise,
  elementWiseGradient,
} from '../../../lib/kernels/element-wise';

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

test('gradients of functions, by as much of what was saved as there are gradients', () => {
  const dx = new Float32Array(3);
  elementWiseGradient('tanh', [0, 0], Float32Array.of(1, 2, -4), Float32Array.of(0, 0.5, -0.5, 9), dx);
  expect([...dx]).toEqual([1, 1.5, -3]);
  elementWiseGradient('clip', [0, 1], Float32Array.of(1, 2, 3), Float32Array.of(0, 1, 1.5), dx);
  expect([...dx]).toEqual([1, 2, 0]);
  elementWiseGradient('leakyRelu', [0.25, 0], Float32Array.of(1, 2, 4), Float32Array.of(1, 0, -1), dx);
  expect([...dx]).toEqual([1, 0.5, 1]);
});

const four = () => new Float32Array(4).fill(1);
const wrong: readonly [string, Float32Array, Float32Array, string, string][] = [
  ['less saved than gradients', new Float32Array(3), four(), 'tanh', 'ERR_CGFAC_SHAPE_MISMATCH'],
  ['room for more', four(), new Float32Array(5), 'tanh', 'ERR_CGFAC_SHAPE_MISMATCH'],
  ['an array of another type', new Int32Array(4) as never, four(), 'tanh', 'ERR_CGFAC_SHAPE_MISMATCH'],
  ['an unknown function', four(), four(), 'cos', 'ERR_CGFAC_INVALID_ARG_VALUE'],
];

test.each(wrong)('of gradients %s: refused, and nothing is written', (_, saved, dx, name, code) => {
  dx.fill(7);
  expect(() => elementWiseGradient(name as ElementWiseGradient, [0, 0], four(), saved, dx)).toThrow(
    expect.objectContaining({ name: 'CgfacError', code }),
  );
  expect(dx.every((x) => x === 7)).toBe(true);
});
