import type { StepOptions, StepSummary } from 'cgfac';
import { gradientsOf, layers, network, numbersOf, record, rowsOf } from '../../../support/networks';
import { caught } from '../../../support/refusals';
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

describe.each([
  ['quadratic', {}, "stepRule 'quadratic'"],
  ['auto', { targets: 'soft' }, "stepRule 'auto' and targets 'soft'"],
] as const)('stepRule %s', (stepRule, targets, words) => {
  const options: StepOptions = { loss: 1, ...targets };
  const missing = (name: string, call: string) => ({
    code: 'ERR_CGFAC_NO_RECORD',
    message:
      `Expected sampled rows of layer '${name}' for ${call} with ${words} but received none; call recordFisher at ` +
      'every step, or give another stepRule',
  });

  test('without recordFisher is refused, changes nothing, and takes the step once that is made up for', async () => {
    const [preconditioner, other] = [{}, {}].map(() => network({ ...plain, stepRule, useEma: false }));
    if (preconditioner === undefined || other === undefined) throw new Error('no networks');
    record(preconditioner, rowsOf(1), false);
    expect(await caught(() => preconditioner.naturalGradientsSync(options))).toMatchObject(
      missing('first', 'naturalGradientsSync'),
    );
    expect(await caught(() => preconditioner.naturalGradients(options))).toMatchObject(
      missing('first', 'naturalGradients'),
    );
    expect(preconditioner.steps).toBe(0);
    for (const [name, { sampled }] of rowsOf(1)) preconditioner.recordFisher(name, { outputGrads: sampled, batch: 12 });
    record(other, rowsOf(1), false);
    for (const [name, { sampled }] of rowsOf(1)) other.recordFisher(name, { outputGrads: sampled, batch: 12 });
    const [{ updates }, { updates: expected }] = [preconditioner, other].map((each) =>
      each.naturalGradientsSync(options),
    ) as [ReturnType<typeof other.naturalGradientsSync>, ReturnType<typeof other.naturalGradientsSync>];
    expect(numbersOf(updates)).toEqual(numbersOf(expected));
  });

  test('needs it of every layer, at every step, and of gradients that are given, too', async () => {
    const preconditioner = network({ ...plain, stepRule, useEma: false });
    record(preconditioner, rowsOf(1));
    preconditioner.naturalGradientsSync(options);
    record(preconditioner, rowsOf(2), false);
    expect(await caught(() => preconditioner.naturalGradientsSync(options))).toMatchObject(
      missing('first', 'naturalGradientsSync'),
    );
    preconditioner.discard();
    record(preconditioner, rowsOf(2));
    preconditioner.discard();
    record(preconditioner, rowsOf(2), false);
    const [first] = layers;
    const outputGrads = rowsOf(2).get(first?.name ?? '')?.sampled ?? new Float32Array();
    preconditioner.recordFisher(first?.name ?? '', { outputGrads, batch: 12 });
    const gradients = gradientsOf(rowsOf(2));
    expect(await caught(() => preconditioner.stepSync(gradients, options))).toMatchObject(
      missing('second', 'stepSync'),
    );
    expect(preconditioner.steps).toBe(1);
  });
});

test('a loss that is not finite is a step that is skipped, sampled rows or not', () => {
  const preconditioner = network({ ...plain, stepRule: 'quadratic' });
  record(preconditioner, rowsOf(1), false);
  expect(preconditioner.naturalGradientsSync({ loss: Number.NaN }).summary.skipped).toBe('the loss is NaN');
});
