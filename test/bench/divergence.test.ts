import { divergence } from '../../bench/suites/training/runs';

test('a run whose loss ends at its start or below it has not diverged', () => {
  expect(divergence({ start: 2, last: 1 })).toBeUndefined();
  expect(divergence({ start: 2, last: 2 })).toBeUndefined();
  expect(divergence({ start: -2, last: -3 })).toBeUndefined();
});

test('a run that ends above its start has diverged', () => {
  expect(divergence({ start: 2, last: 2.1 })).toBe('ended at 2.10, above its start 2.00');
});

test('a step that was not finite counts, whatever the loss is at the end', () => {
  expect(divergence({ start: 2, last: 1, notFinite: 7 })).toBe('step 7 was not finite');
});

test('an optimizer that gave up, and losses that are no numbers, count', () => {
  expect(divergence({ start: 2, last: null, gaveUp: true, notFinite: 7 })).toBe('ERR_CGFAC_DIVERGED');
  expect(divergence({ start: 2, last: null })).toBe('its loss is not finite');
  expect(divergence({ start: null, last: 1 })).toBe('its loss is not finite');
});
