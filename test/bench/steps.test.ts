import { stepOutcome } from '../../bench/check/steps';

test.each([
  ['as long as it took', 1.2, 1.2, true],
  ['a fifth longer', 1.44, 1.2, true],
  ['a third longer', 1.6, 1.2, false],
  ['no figure', Number.NaN, 1.2, false],
  ['nothing to compare with', 1.2, undefined, false],
])('a step that takes %s', (_, ratio, before, passed) => {
  const outcome = stepOutcome('digits', ratio, before);
  expect(outcome).toMatchObject({ name: 'a step of digits', passed });
  expect(outcome.figures).toContain("× Adam's, baseline");
});
