import { median } from '../../examples/shared/statistics';

test.each([
  [[7], 7],
  [[30, 1, 2], 2],
  [[10, 1, 2, 4], 3],
])('the median of %j is %d', (values, expected) => {
  expect(median(values)).toBe(expected);
});
