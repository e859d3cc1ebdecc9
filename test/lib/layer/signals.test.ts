/** Many calls under one `AbortSignal`. */
import { getEventListeners } from 'node:events';
import { ConjugateGradient, FisherOperator, LayerPreconditioner, preconditionAll } from 'cgfac';
import { randomNumbers } from '../../support/layers';

const layer = { inFeatures: 30, outFeatures: 20, lossReduction: 'sum', damping: 1e-20 } as const;
const rows = (seed: number, { inFeatures, outFeatures }: { inFeatures: number; outFeatures: number } = layer) => ({
  inputs: randomNumbers(inFeatures * 16, seed),
  outputGrads: randomNumbers(outFeatures * 16, seed + 1),
  batch: 16,
});
const v = () => randomNumbers(600, 5);

/** Layers that are solved at once, and ones whose solves take longer than any test. */
function systems(count: number, slow = false) {
  const shape = slow ? { ...layer, inFeatures: 300, outFeatures: 250 } : layer;
  const solve = slow ? ({ space: 'weight', maxIterations: 100_000, tolerance: 0 } as const) : {};
  return Array.from({ length: count }, (_, index) => {
    const preconditioner = new LayerPreconditioner({ ...shape, ...solve, method: 'cg' });
    preconditioner.record(rows(index, shape));
    return { layer: preconditioner, v: randomNumbers(shape.inFeatures * shape.outFeatures, 5) };
  });
}

const listeners = (signal: AbortSignal) => getEventListeners(signal, 'abort').length;

test('one listener for all layers of a call, and none when it has settled', async () => {
  const { signal } = new AbortController();
  const pending = preconditionAll(systems(12), { signal });
  expect(listeners(signal)).toBe(1);
  expect(await pending).toHaveLength(12);
  expect(listeners(signal)).toBe(0);
});

test('one listener for all calls that wait, until the last of them has settled', async () => {
  const { signal } = new AbortController();
  const operator = new FisherOperator({ ...layer, ...rows(1) });
  const solver = new ConjugateGradient({ maxIterations: 3 });
  const waiting = Array.from({ length: 12 }, async () => {
    await solver.solve(operator, v(), { signal });
    return listeners(signal);
  });
  expect(listeners(signal)).toBe(1);
  const seen = await Promise.all(waiting);
  expect(seen.slice(0, -1).every((count) => count <= 1)).toBe(true);
  expect(listeners(signal)).toBe(0);
  await solver.solve(operator, v(), { signal });
  expect(listeners(signal)).toBe(0);
});

test('an abort cancels every one of them, and leaves no listener', async () => {
  const controller = new AbortController();
  const { signal } = controller;
  const solves = systems(12, true).map(({ layer, v }) => layer.precondition(v, { signal }));
  setImmediate(() => controller.abort(new Error('no longer wanted')));
  const settled = await Promise.allSettled(solves);
  for (const each of settled)
    expect(each).toMatchObject({ status: 'rejected', reason: { message: 'no longer wanted' } });
  expect(listeners(signal)).toBe(0);
});

test('a call that ends does not take the listener from one that still waits', async () => {
  const controller = new AbortController();
  const { signal } = controller;
  const [endless, quick] = [...systems(1, true), ...systems(1)];
  if (!endless || !quick) throw new Error('Expected two systems');
  const pending = endless.layer.precondition(endless.v, { signal });
  await quick.layer.precondition(quick.v, { signal });
  expect(listeners(signal)).toBe(1);
  controller.abort();
  await expect(pending).rejects.toMatchObject({ name: 'AbortError' });
  expect(listeners(signal)).toBe(0);
});
