import type { StepSummary } from 'cgfac';
import { network } from '../../../support/networks';
import { plain, take } from '../../../support/steps';

test.each([
  [1, [0, 1, 2, 3, 4, 5]],
  [2, [0, 1, 2, 4]],
  [3, [0, 1, 3]],
  [4, [0, 1, 2, 3, 4, 5]],
] as const)('refreshDue: factors every %d steps', (factorUpdateSteps, expected) => {
  const preconditioner = network({ ...plain, factorUpdateSteps });
  const due = Array.from({ length: 14 }, (_, step) => {
    const { refreshDue } = preconditioner;
    const [summary] = take(preconditioner, 1, undefined, step) as [StepSummary];
    expect(summary.refreshed).toBe(refreshDue);
    return refreshDue ? [step] : [];
  }).flat();
  expect(due.filter((step) => step < 6)).toEqual(expected);
  expect(due.filter((step) => step >= 10)).toEqual([10, 11, 12, 13].filter((step) => step % factorUpdateSteps === 0));
});
