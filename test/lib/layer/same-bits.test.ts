import {
  info,
  LayerPreconditioner,
  type LayerSystem,
  preconditionAll,
  preconditionAllSync,
  setThreads,
  type WeightVector,
} from 'cgfac';
import { randomVector, type Shape } from '../../support/layers';
import { bitsOf, copyOf, methodNames, methods, outcomeOf, randomRows, recordable } from '../../support/methods';

// Large enough for their work to be split: panels on both sides, a covariance on one, on the other, and on both.
const shapes: Record<string, Shape> = {
  'panels, B = 64': { inFeatures: 400, outFeatures: 300, batch: 64, fisherRows: 64, bias: true },
  'panels, B = 160': { inFeatures: 400, outFeatures: 300, batch: 160, fisherRows: 160, bias: true },
  'panels of different height': { inFeatures: 400, outFeatures: 300, batch: 160, fisherRows: 40, bias: true },
  'a covariance of the inputs': { inFeatures: 96, outFeatures: 400, batch: 160, fisherRows: 160, bias: true },
  'a covariance of the outputs': { inFeatures: 400, outFeatures: 96, batch: 160, fisherRows: 160, bias: false },
  covariances: { inFeatures: 150, outFeatures: 130, batch: 320, fisherRows: 320, bias: true },
};
const cases = Object.entries(shapes).flatMap(([what, shape]) =>
  methodNames
    .filter((name) => name !== 'exact, per sample' || shape.batch === shape.fisherRows)
    .flatMap((name) => {
      const layouts = shape.batch === 64 ? (['out-in', 'in-out'] as const) : (['out-in'] as const);
      return layouts.map((kernelLayout) => ({ what, shape, name, kernelLayout }));
    }),
);

const threads = info().threads;
afterAll(() => setThreads(threads));

describe.each(cases)('$name, $what, $kernelLayout', ({ shape, name, kernelLayout }) => {
  const { inFeatures, outFeatures, bias } = shape;
  const rows = randomRows(shape, 3);
  const next = randomRows(shape, 13);
  const empirical = shape.batch === shape.fisherRows ? { ...rows, lossGrads: rows.outputGrads } : next;
  const layer = () =>
    new LayerPreconditioner<boolean>({
      inFeatures,
      outFeatures,
      bias,
      kernelLayout,
      lossReduction: 'mean',
      damping: { relative: 1 },
      ...methods[name].options,
      ...(name.startsWith('cg') ? { maxIterations: 6 } : {}),
      ...(name.startsWith('kfac') ? { inverseUpdateSteps: 3 } : {}),
    });
  const vectors = [8, 18].map((seed) => randomVector(shape, seed));
  const start = randomVector(shape, 28);

  // two batches, the second from the first one's solution, then each form of the natural gradient
  const sync = () => {
    const preconditioner = layer();
    preconditioner.record(recordable(rows));
    const results = vectors.map((v) => outcomeOf(preconditioner.preconditionSync(v, { spectrum: true })));
    preconditioner.record(recordable(next));
    results.push(...vectors.map((v) => outcomeOf(preconditioner.preconditionSync(v))));
    results.push(
      ...[rows, empirical].map((batch) => outcomeOf(preconditioner.naturalGradientSync({ ...batch, spectrum: true }))),
    );
    const weights = copyOf(start);
    for (const batch of [rows, empirical])
      preconditioner.naturalGradientSync({ ...batch, applyTo: { weights, learningRate: 0.5 } });
    preconditioner.dispose();
    return { results, weights: bitsOf(weights) };
  };
  const async = async () => {
    const preconditioner = layer();
    preconditioner.record(recordable(rows));
    const results = vectors.map((v) => preconditioner.precondition(v, { spectrum: true }));
    preconditioner.record(recordable(next));
    results.push(...vectors.map((v) => preconditioner.precondition(v)));
    const own = [rows, empirical].map((batch) => preconditioner.naturalGradient({ ...batch, spectrum: true }));
    const weights = copyOf(start);
    const updates = [rows, empirical].map((batch) =>
      preconditioner.naturalGradient({ ...batch, applyTo: { weights, learningRate: 0.5 } }),
    );
    const settled = await Promise.all([...results, ...own]);
    await Promise.all(updates);
    preconditioner.dispose();
    return { results: settled.map(outcomeOf), weights: bitsOf(weights) };
  };

  test('with one pool thread and with two, on the calling thread and off it', async () => {
    setThreads(1);
    const expected = sync();
    setThreads(2);
    expect(sync()).toEqual(expected);
    expect(await async()).toEqual(expected);
  });
});

describe('preconditionAll', () => {
  // eight layers, small and large, of every method
  const list = methodNames.map((name, i) => {
    const batch = [64, 16, 128, 40, 8, 96, 33, 64][i] ?? 32;
    const inFeatures = [300, 20, 400, 77, 10, 60, 500, 128][i] ?? 32;
    return { name, shape: { inFeatures, outFeatures: 10 + 37 * i, batch, fisherRows: batch, bias: i % 2 === 0 } };
  });
  const systems = (): LayerSystem[] =>
    list.map(({ name, shape }, i) => {
      const { inFeatures, outFeatures, bias } = shape;
      const layer = new LayerPreconditioner<boolean>({
        inFeatures,
        outFeatures,
        bias,
        lossReduction: 'sum',
        damping: 0.5,
        ...methods[name].options,
      });
      layer.record(recordable(randomRows(shape, i + 1)));
      return { layer, v: randomVector(shape, i + 50) };
    });
  const oneByOne = systems().map(({ layer, v }) => outcomeOf(layer.preconditionSync(v)));

  test.each([1, 2])('is one call after another, with %d pool threads', async (count) => {
    setThreads(count);
    expect(preconditionAllSync(systems()).map(outcomeOf)).toEqual(oneByOne);
    expect((await preconditionAll(systems())).map(outcomeOf)).toEqual(oneByOne);
    expect((await preconditionAll(systems(), { signal: new AbortController().signal })).map(outcomeOf)).toEqual(
      oneByOne,
    );
  });

  test('twice in a row starts from the previous solutions as calls do', async () => {
    const calls = systems();
    const expected = [0, 1].map(() => calls.map(({ layer, v }) => outcomeOf(layer.preconditionSync(v))));
    const sync = systems();
    const async = systems();
    for (const results of expected) {
      expect(preconditionAllSync(sync).map(outcomeOf)).toEqual(results);
      expect((await preconditionAll(async)).map(outcomeOf)).toEqual(results);
    }
  });

  test('writes to each out, which may be v', async () => {
    const withOut = (inPlace: boolean) =>
      systems().map(({ layer, v }, i) => ({ layer, v, out: inPlace ? v : randomVector(list[i]?.shape ?? fail(), 70) }));
    for (const [inPlace, expected] of [
      [false, oneByOne],
      [true, withOut(true).map(({ layer, v, out }) => outcomeOf(layer.preconditionSync(v, { out })))],
    ] as const) {
      const sync = withOut(inPlace);
      const results = preconditionAllSync(sync);
      results.forEach(({ x }, i) => {
        expect(x).toBe(sync[i]?.out);
      });
      expect(results.map(outcomeOf)).toEqual(expected);
      const async = withOut(inPlace);
      const later = await preconditionAll(async);
      later.forEach(({ x }, i) => {
        expect(x).toBe(async[i]?.out);
      });
      expect(later.map(outcomeOf)).toEqual(expected);
    }
  });

  test('of nothing is nothing', async () => {
    expect(preconditionAllSync([])).toEqual([]);
    expect(await preconditionAll([])).toEqual([]);
  });

  test('a layer that fails leaves the others their results', async () => {
    const broken = () => {
      const all = systems().map((system, i) => ({ ...system, out: randomVector(list[i]?.shape ?? fail(), 70) }));
      for (const index of [5, 3]) kernelOf(all[index]?.v ?? fail())[index] = Number.NaN;
      return all;
    };
    const check = (all: ReturnType<typeof broken>) => {
      all.forEach(({ out }, i) => {
        const untouched = bitsOf(randomVector(list[i]?.shape ?? fail(), 70));
        expect(bitsOf(out)).toBe(i === 3 || i === 5 ? untouched : oneByOne[i]?.x);
      });
    };
    const refusal = { code: 'ERR_CGFAC_NOT_FINITE', message: expect.stringContaining('NaN at index 3') };
    const sync = broken();
    expect(() => preconditionAllSync(sync)).toThrow(expect.objectContaining(refusal));
    check(sync);
    const async = broken();
    await expect(preconditionAll(async)).rejects.toMatchObject(refusal);
    check(async);
  });

  test('is cancelled as a whole', async () => {
    const controller = new AbortController();
    const pending = preconditionAll(systems(), { signal: controller.signal });
    controller.abort();
    await expect(pending).rejects.toMatchObject({ name: 'AbortError' });
    const late = preconditionAll(systems(), { signal: AbortSignal.abort(new Error('no longer wanted')) });
    await expect(late).rejects.toThrow('no longer wanted');
  });
});

test('setThreads is seen by info', () => {
  for (const count of [1, 3, 2]) {
    setThreads(count);
    expect(info().threads).toBe(count);
  }
});

function fail(): never {
  throw new Error('no such layer');
}

function kernelOf(v: WeightVector): Float32Array {
  return v instanceof Float32Array ? v : v.kernel;
}
