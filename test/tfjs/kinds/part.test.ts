import * as tf from '@tensorflow/tfjs-core';
import { isSamePart, joinedPart, makeUpWhole, nameOf, readPart, whole, writePart } from '../../../lib/tfjs/kinds/part';
import { useBackend } from '../support/backends';

beforeAll(() => useBackend('cpu'));

const numbers = Float32Array.from({ length: 12 }, (_, at) => at);
const matrix = () => tf.variable(tf.tensor(numbers, [3, 4]), true, 'matrix');

describe('a part of a variable', () => {
  afterEach(() => tf.disposeVariables());

  it('is read and written where its numbers stand: columns, and rows', () => {
    const variable = matrix();
    const columns = { variable, range: { length: 4, inner: 1, from: 1, to: 3 } };
    const rows = { variable, range: { length: 3, inner: 4, from: 1, to: 2 } };
    expect(Array.from(readPart(columns, numbers))).toEqual([1, 2, 5, 6, 9, 10]);
    expect(Array.from(readPart(rows, numbers))).toEqual([4, 5, 6, 7]);
    const copy = numbers.slice();
    writePart(columns, copy, Float32Array.of(-1, -2, -5, -6, -9, -10));
    expect(Array.from(copy)).toEqual([0, -1, -2, 3, 4, -5, -6, 7, 8, -9, -10, 11]);
    writePart(rows, copy, Float32Array.of(40, 50, 60, 70));
    expect(Array.from(copy)).toEqual([0, -1, -2, 3, 40, 50, 60, 70, 8, -9, -10, 11]);
    writePart(whole(variable), copy, numbers);
    expect(copy).toEqual(numbers);
    expect(readPart(whole(variable), numbers)).toBe(numbers);
  });

  it('has the name of its variable and its range, and is joined by the one that follows', () => {
    const variable = matrix();
    const at = (from: number, to: number) => ({ variable, range: { length: 4, inner: 1, from, to } });
    expect([nameOf(whole(variable)), nameOf(at(1, 3))]).toEqual(['matrix', 'matrix@1:3']);
    expect(joinedPart(at(1, 2), at(2, 3))).toEqual(at(1, 3));
    expect(joinedPart(at(0, 1), at(1, 4))).toEqual(whole(variable));
    expect(joinedPart(at(0, 1), at(2, 4))).toBeUndefined();
    expect(joinedPart(at(0, 1), { variable, range: { length: 3, inner: 4, from: 1, to: 3 } })).toBeUndefined();
    expect(makeUpWhole([at(0, 1), at(1, 3), at(3, 4)])).toBe(true);
    expect(makeUpWhole([at(0, 1), at(1, 3)])).toBe(false);
    expect(makeUpWhole([at(0, 3), at(1, 4)])).toBe(false);
    expect(makeUpWhole([])).toBe(false);
    expect(isSamePart(at(0, 1), at(0, 1))).toBe(true);
    expect(isSamePart(at(0, 1), at(0, 2))).toBe(false);
    expect(isSamePart(at(0, 1), whole(variable))).toBe(false);
    expect(isSamePart(undefined, undefined)).toBe(true);
    expect(isSamePart(undefined, whole(variable))).toBe(false);
  });
});
