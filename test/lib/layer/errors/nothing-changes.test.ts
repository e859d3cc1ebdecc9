import { CgfacError, ConjugateGradient, LayerPreconditioner, preconditionAll, preconditionAllSync } from 'cgfac';
import { caught, codes, layer, operator, own, recorded, rows, spoiled, vector } from '../../../support/refusals';

const { notFinite, overlap } = codes;

describe('a refused call changes nothing', () => {
  const bad = () => ({ kernel: spoiled(6, Number.NaN, 0), bias: new Float32Array(3) });

  test('out keeps its contents', async () => {
    const out = vector(7);
    const before = structuredClone(out);
    const solver = new ConjugateGradient();
    const calls = [
      () => operator().applySync(bad(), { out }),
      () => operator().apply(bad(), { out }),
      () => solver.solveSync(operator(), bad(), { out }),
      () => solver.solve(operator(), bad(), { out }),
      () => recorded().preconditionSync(bad(), { out }),
      () => recorded().precondition(bad(), { out }),
    ];
    for (const call of calls) {
      expect(await caught(call)).toMatchObject({ code: notFinite });
      expect(out).toEqual(before);
    }
  });

  test('out and weights of a natural gradient keep theirs, and the layer its batch and previous solution', async () => {
    for (const wrong of [
      { lossGrads: spoiled(12, Number.NaN, 0) },
      { inputs: spoiled(8, Number.NaN, 0) },
      { lossGrads: new Float32Array(3) },
    ]) {
      const out = vector(7);
      const spoiledLayer = recorded();
      const cleanLayer = recorded();
      expect(spoiledLayer.preconditionSync(vector())).toEqual(cleanLayer.preconditionSync(vector()));
      for (const options of [{ out }, { applyTo: { weights: out, learningRate: 0.5 } }]) {
        expect(await caught(() => spoiledLayer.naturalGradientSync({ ...own(), ...wrong, ...options }))).toBeInstanceOf(
          CgfacError,
        );
        expect(await caught(() => spoiledLayer.naturalGradient({ ...own(), ...wrong, ...options }))).toBeInstanceOf(
          CgfacError,
        );
        expect(out).toEqual(vector(7));
      }
      expect(spoiledLayer.preconditionSync(vector())).toEqual(cleanLayer.preconditionSync(vector()));
    }
  });

  test('no layer of a list is touched where one is refused before the start', async () => {
    const first = recorded();
    const clean = recorded();
    const out = vector(7);
    const refused = [
      { layer: first, v: vector(), out },
      { layer: recorded(), v: vector(), out },
    ];
    expect(await caught(() => preconditionAllSync(refused))).toMatchObject({ code: overlap });
    for (const all of [preconditionAll, preconditionAllSync]) {
      const unrecorded = { layer: new LayerPreconditioner<true>(layer()), v: vector() };
      expect(await caught(() => all([{ layer: first, v: vector(), out }, unrecorded]))).toMatchObject({
        code: 'ERR_CGFAC_NO_RECORD',
      });
    }
    expect(out).toEqual(vector(7));
    expect(first.preconditionSync(vector())).toEqual(clean.preconditionSync(vector())); // no previous solution either
  });

  test('an abort at once wins over a natural gradient', async () => {
    const controller = new AbortController();
    const pending = recorded().naturalGradient({ ...own(), signal: controller.signal });
    controller.abort();
    expect(await caught(() => pending)).toMatchObject({ name: 'AbortError' });
  });

  test('a layer keeps its batch and its previous solution', async () => {
    const spoiledLayer = recorded();
    const cleanLayer = recorded();
    expect(spoiledLayer.preconditionSync(vector())).toEqual(cleanLayer.preconditionSync(vector()));
    expect(await caught(() => spoiledLayer.record({ ...rows(), inputs: spoiled(8, Number.NaN, 0) }))).toMatchObject({
      code: notFinite,
    });
    expect(await caught(() => spoiledLayer.preconditionSync(bad()))).toMatchObject({ code: notFinite });
    expect(await caught(() => spoiledLayer.precondition(bad()))).toMatchObject({ code: notFinite });
    expect(spoiledLayer.preconditionSync(vector())).toEqual(cleanLayer.preconditionSync(vector()));
  });

  test('rejections carry the same errors as throws', async () => {
    const sync = await caught(() => operator().applySync(bad()));
    const async = await caught(() => operator().apply(bad()));
    expect(async).toBeInstanceOf(CgfacError);
    expect((async as CgfacError).message).toBe((sync as CgfacError).message);
  });
});
