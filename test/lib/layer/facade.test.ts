import { ConjugateGradient, FisherOperator, info, LayerPreconditioner, type WeightVector } from 'cgfac';
import { version } from '../../../package.json';
import { at, matrixOf } from '../../support/golden-case';
import { arraysOf, randomNumbers, randomOperator, randomVector } from '../../support/layers';

const shape = { inFeatures: 30, outFeatures: 20, batch: 8, fisherRows: 8, bias: true };
const options = () => {
  const { inputs, outputGrads, batch, fisherRows, ...layer } = randomOperator(shape, 1);
  return { layer, rows: { inputs, outputGrads, batch, fisherRows: fisherRows ?? batch } };
};

describe('info', () => {
  test('names the build', () => {
    expect(info()).toEqual({
      version,
      blas: {
        vendor: 'OpenBLAS',
        version: expect.stringMatching(/^0\.3\.\d+$/),
        core: expect.stringMatching(/^\w+$/),
        threads: 1,
      },
      threads: expect.any(Number),
      threadsAllowed: expect.any(Number),
      threadsRefused: 0,
      napi: 8,
    });
    expect(info().threads).toBeGreaterThan(0);
    expect(info().threadsAllowed).toBeGreaterThan(0);
  });
});

describe('a layer small enough to check by hand', () => {
  // A = a² = 4, G = g² = 9, F = 36, λ = 4
  const layer = { inFeatures: 1, outFeatures: 1, damping: 4, lossReduction: 'sum' } as const;
  const rows = { inputs: Float32Array.of(2), outputGrads: Float32Array.of(3), batch: 1 };

  test('F + λI multiplies by 40', () => {
    expect(new FisherOperator({ ...layer, ...rows }).applySync(Float32Array.of(0.5))).toEqual(Float32Array.of(20));
  });

  test('its inverse divides by 40', () => {
    const preconditioner = new LayerPreconditioner(layer);
    preconditioner.record(rows);
    const { x, iterations, reason, initialResidual } = preconditioner.preconditionSync(Float32Array.of(20));
    expect(at(x, 0)).toBeCloseTo(0.5, 6);
    expect({ iterations, reason, initialResidual }).toEqual({ iterations: 1, reason: 'converged', initialResidual: 1 });
  });

  test("the reduction 'mean' multiplies g by the batch", () => {
    const mean = new FisherOperator({
      ...layer,
      lossReduction: 'mean',
      inputs: Float32Array.of(2, 2),
      outputGrads: Float32Array.of(1.5, 1.5),
      batch: 2,
    });
    expect(mean.applySync(Float32Array.of(0.5))).toEqual(Float32Array.of(20));
  });

  test('relative damping is a multiple of the mean eigenvalue', () => {
    expect(new FisherOperator({ ...layer, ...rows, damping: { relative: 0.5 } }).applySync(Float32Array.of(1))).toEqual(
      Float32Array.of(54),
    );
  });
});

describe('results', () => {
  test('go to out, which is returned', async () => {
    const { layer, rows } = options();
    const operator = new FisherOperator({ ...layer, ...rows });
    const v = randomVector(shape, 5);
    const out = randomVector(shape, 6);
    expect(operator.applySync(v, { out })).toBe(out);
    expect(await operator.apply(v, { out })).toBe(out);
    const solver = new ConjugateGradient();
    expect(solver.solveSync(operator, v, { out }).x).toBe(out);
    expect((await solver.solve(operator, v, { out })).x).toBe(out);
    const preconditioner = new LayerPreconditioner(layer);
    preconditioner.record(rows);
    expect(preconditioner.preconditionSync(v, { out }).x).toBe(out);
    expect((await preconditioner.precondition(v, { out })).x).toBe(out);
  });

  test('may go to v', () => {
    const { layer, rows } = options();
    const operator = new FisherOperator({ ...layer, ...rows });
    const expected = operator.applySync(randomVector(shape, 5));
    const v = randomVector(shape, 5);
    operator.applySync(v, { out: v });
    const error = matrixOf(v, 20).map((value, i) => Math.abs(value - at(matrixOf(expected, 20), i)));
    expect(Math.max(...error)).toBeLessThan(1e-5); // elements of size 10, the last sum taken in another order
  });

  test('without a history have no residuals', () => {
    const { layer, rows } = options();
    expect(
      new ConjugateGradient().solveSync(new FisherOperator({ ...layer, ...rows }), randomVector(shape, 5)),
    ).not.toHaveProperty('residuals');
  });
});

describe('arrays', () => {
  test('may be shared, and may start anywhere in their buffer', () => {
    const { layer, rows } = options();
    const expected = new FisherOperator({ ...layer, ...rows }).applySync(randomVector(shape, 5));
    const move = (array: Float32Array, buffer: ArrayBufferLike) => {
      const moved = new Float32Array(buffer, 12, array.length);
      moved.set(array);
      return moved;
    };
    for (const Kind of [ArrayBuffer, SharedArrayBuffer]) {
      const elsewhere = (array: Float32Array) => move(array, new Kind(12 + array.byteLength));
      const v = randomVector(shape, 5) as { kernel: Float32Array; bias: Float32Array };
      const operator = new FisherOperator({
        ...layer,
        ...rows,
        inputs: elsewhere(rows.inputs),
        outputGrads: elsewhere(rows.outputGrads),
      });
      const out = { kernel: elsewhere(v.kernel), bias: elsewhere(v.bias) };
      operator.applySync({ kernel: elsewhere(v.kernel), bias: elsewhere(v.bias) }, { out });
      expect(arraysOf(out).map((array) => [...array])).toEqual(arraysOf(expected).map((array) => [...array]));
    }
  });

  test('of an operator are borrowed: what they hold now is what counts', () => {
    const { layer, rows } = options();
    const operator = new FisherOperator({ ...layer, ...rows });
    const before = operator.applySync(randomVector(shape, 5));
    rows.inputs.set(randomNumbers(rows.inputs.length, 99));
    expect(operator.applySync(randomVector(shape, 5))).not.toEqual(before);
  });

  test('of a recorded batch are copied', () => {
    const { layer, rows } = options();
    const preconditioner = new LayerPreconditioner({ ...layer, warmStart: 'none' });
    preconditioner.record(rows);
    const before = preconditioner.preconditionSync(randomVector(shape, 5));
    rows.inputs.fill(0);
    expect(preconditioner.preconditionSync(randomVector(shape, 5))).toEqual(before);
  });
});

describe('asynchronous calls', () => {
  const large = { inFeatures: 600, outFeatures: 500, batch: 128, fisherRows: 128, bias: false };
  const slow = { maxIterations: 100_000, tolerance: 0 } as const;

  test('reject with the reason of their signal, and leave out alone', async () => {
    const operator = new FisherOperator(randomOperator(large, 1, 1e-20));
    const v = randomVector(large, 5);
    for (const space of ['gram', 'weight'] as const) {
      const solver = new ConjugateGradient({ ...slow, space });
      const controller = new AbortController();
      const pending = solver.solve(operator, v, { signal: controller.signal });
      setImmediate(() => controller.abort());
      await expect(pending).rejects.toMatchObject({ name: 'AbortError' });
    }
    const aborted = AbortSignal.abort(new Error('no longer wanted'));
    await expect(new ConjugateGradient().solve(operator, v, { signal: aborted })).rejects.toThrow('no longer wanted');
    await expect(operator.apply(v, { signal: aborted })).rejects.toThrow('no longer wanted');
  });

  test('an abort at once wins, however quick the call', async () => {
    const { layer, rows } = options();
    const preconditioner = new LayerPreconditioner(layer);
    preconditioner.record(rows);
    const controller = new AbortController();
    const pending = preconditioner.precondition(randomVector(shape, 5), { signal: controller.signal });
    controller.abort();
    await expect(pending).rejects.toMatchObject({ name: 'AbortError' });
  });

  test('go to the out of their time, whatever becomes of the options', async () => {
    const { layer, rows } = options();
    const operator = new FisherOperator({ ...layer, ...rows });
    const first = randomVector(shape, 6);
    const given = { out: first };
    const pending = new ConjugateGradient().solve(operator, randomVector(shape, 5), given);
    given.out = randomVector(shape, 7);
    expect((await pending).x).toBe(first);
  });

  test('several may be in flight, of one object and of many', async () => {
    const operator = new FisherOperator(randomOperator(large, 1));
    const solver = new ConjugateGradient({ maxIterations: 5, tolerance: 0 });
    const vectors = [5, 6, 7, 8, 9, 10].map((seed) => randomVector(large, seed));
    const bytes = ({ x }: { readonly x: WeightVector }) =>
      Buffer.concat(arraysOf(x).map((array) => Buffer.from(array.buffer)));
    const expected = vectors.map((v) => bytes(solver.solveSync(operator, v)));
    const results = await Promise.all(vectors.map((v) => solver.solve(operator, v)));
    results.forEach((result, i) => {
      expect(expected[i]?.equals(bytes(result))).toBe(true);
    });
  });

  test('of one layer keep their order, and use the batch of their time', async () => {
    const { layer, rows } = options();
    const sync = new LayerPreconditioner({ ...layer, maxIterations: 3 });
    const async = new LayerPreconditioner({ ...layer, maxIterations: 3 });
    const other = { ...rows, inputs: randomNumbers(rows.inputs.length, 77) };
    const v = randomVector(shape, 5);
    const expected = [rows, other, rows].map((batch) => {
      sync.record(batch);
      return sync.preconditionSync(v);
    });
    const pending = [rows, other, rows].map((batch) => {
      async.record(batch);
      return async.precondition(v);
    });
    expect(await Promise.all(pending)).toEqual(expected);
  });

  test('keep the synchronous twin out until they have settled', async () => {
    const { layer, rows } = options();
    const preconditioner = new LayerPreconditioner(layer);
    preconditioner.record(rows);
    const pending = preconditioner.precondition(randomVector(shape, 5));
    const message = (call: string) =>
      `Expected no pending asynchronous call for ${call} but received 1; await them first`;
    expect(() => preconditioner.preconditionSync(randomVector(shape, 5))).toThrow(
      expect.objectContaining({ code: 'ERR_CGFAC_BUSY', message: message('preconditionSync()') }),
    );
    expect(() => preconditioner.reset()).toThrow(
      expect.objectContaining({ code: 'ERR_CGFAC_BUSY', message: message('reset()') }),
    );
    await pending;
    preconditioner.preconditionSync(randomVector(shape, 5));
  });

  test('leave the event loop free', async () => {
    const operator = new FisherOperator(randomOperator(large, 1, 1e-20));
    const controller = new AbortController();
    const solver = new ConjugateGradient({ ...slow, space: 'weight' });
    const pending = solver.solve(operator, randomVector(large, 5), { signal: controller.signal });
    // the solve cannot end before this loop of timers does, because the loop is what ends it
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setTimeout(resolve, 1));
    controller.abort();
    await expect(pending).rejects.toMatchObject({ name: 'AbortError' });
  });
});

describe('a layer preconditioner', () => {
  test('starts from the previous solution unless told otherwise', () => {
    const { layer, rows } = options();
    const residuals = (warmStart: 'none' | 'previous' | 'scaled') => {
      const preconditioner = new LayerPreconditioner({ ...layer, maxIterations: 2, tolerance: 0, warmStart });
      preconditioner.record(rows);
      preconditioner.preconditionSync(randomVector(shape, 5));
      return preconditioner.preconditionSync(randomVector(shape, 5)).initialResidual;
    };
    expect(residuals('none')).toBe(1);
    expect(residuals('previous')).toBeLessThan(0.9);
    expect(residuals('scaled')).toBeLessThan(0.9);
  });

  test('forgets on reset', () => {
    const { layer, rows } = options();
    const preconditioner = new LayerPreconditioner(layer);
    preconditioner.record(rows);
    const first = preconditioner.preconditionSync(randomVector(shape, 5));
    preconditioner.reset();
    expect(() => preconditioner.preconditionSync(randomVector(shape, 5))).toThrow(
      expect.objectContaining({ code: 'ERR_CGFAC_NO_RECORD' }),
    );
    preconditioner.record(rows);
    expect(preconditioner.preconditionSync(randomVector(shape, 5))).toEqual(first);
  });

  test('is disposable, also while a call is pending', async () => {
    const { layer, rows } = options();
    const preconditioner = new LayerPreconditioner(layer);
    preconditioner.record(rows);
    const pending = preconditioner.precondition(randomVector(shape, 5));
    preconditioner[Symbol.dispose]();
    await expect(pending).resolves.toMatchObject({ reason: expect.any(String) });
    expect(() => preconditioner.reset()).toThrow(expect.objectContaining({ code: 'ERR_CGFAC_DISPOSED' }));
  });

  test('says which space it ran in', () => {
    for (const space of ['gram', 'weight'] as const) {
      const { layer, rows } = options();
      const preconditioner = new LayerPreconditioner({ ...layer, space });
      preconditioner.record(rows);
      expect(preconditioner.preconditionSync(randomVector(shape, 5)).space).toBe(space);
    }
    const { layer, rows } = options();
    const averaged = { method: 'exact', dampingMode: 'factored', factorHistory: 'dense' } as const;
    const preconditioner = new LayerPreconditioner({ ...layer, ...averaged });
    preconditioner.record(rows);
    expect(preconditioner.preconditionSync(randomVector(shape, 5)).space).toBe('weight');
  });
});
