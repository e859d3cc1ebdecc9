import {
  CgfacError,
  ConjugateGradient,
  FisherOperator,
  LayerPreconditioner,
  Preconditioner,
  preconditionAll,
  preconditionAllSync,
  setThreads,
} from 'cgfac';
import { expectCoded } from '../support/coded';
import { hostileValues, spoilt, unreadable } from '../support/hostile';
import { caught } from '../support/refusals';

const numbers = (length: number) => Float32Array.from({ length }, (_, i) => Math.sin(1 + i));
const layer = { inFeatures: 3, outFeatures: 2, lossReduction: 'sum', damping: 0.1 } as const;
const rows = () => ({ inputs: numbers(12), outputGrads: numbers(8), batch: 4 });
const dense = { inFeatures: 3, outFeatures: 2, bias: false } as const;
const convolution = {
  inputShape: [3, 3, 1],
  filters: 2,
  kernelSize: [2, 2],
  padding: [
    [0, 0],
    [0, 0],
  ],
} as const;

function recorded(): LayerPreconditioner<false> {
  const preconditioner = new LayerPreconditioner(layer);
  preconditioner.record(rows());
  return preconditioner;
}

function network(options = {}): Preconditioner {
  const preconditioner = new Preconditioner({ lossReduction: 'sum', ...options });
  preconditioner.registerDense('first', { ...dense, weights: numbers(6) });
  preconditioner.record('first', { inputs: numbers(12), lossGrads: numbers(8), batch: 4 });
  return preconditioner;
}

/** An argument of the name, and the call with another one in its place. */
type Entry = readonly [name: string, given: object, call: (argument: never) => unknown];

const own = () => ({ ...rows(), lossGrads: numbers(8) });
const named = { first: numbers(6) };
const saved = network().stateDict();
const sides = saved.layers.first?.factors ?? {};
const stateWith = (part: object) => ({ ...saved, layers: { first: { ...saved.layers.first, ...part } } }) as never;
const entries: readonly Entry[] = [
  ['new FisherOperator', { ...layer, ...rows() }, (a) => new FisherOperator(a)],
  ['new ConjugateGradient', { maxIterations: 3 }, (a) => new ConjugateGradient(a)],
  ['new LayerPreconditioner', { ...layer, method: 'cg' }, (a) => new LayerPreconditioner(a)],
  ['new Preconditioner', { lossReduction: 'sum', skipLayers: ['any'] }, (a) => new Preconditioner(a)],
  ['damping', { relative: 1 }, (a) => new LayerPreconditioner({ ...layer, damping: a })],
  ['trustRegion', { kl: 1 }, (a) => new Preconditioner({ lossReduction: 'sum', stepRule: 'fixed', trustRegion: a })],
  ['applySync', { out: numbers(6) }, (a) => new FisherOperator({ ...layer, ...rows() }).applySync(numbers(6), a)],
  ['apply', { out: numbers(6) }, (a) => new FisherOperator({ ...layer, ...rows() }).apply(numbers(6), a)],
  [
    'solveSync',
    { x0: numbers(6) },
    (a) => new ConjugateGradient().solveSync(new FisherOperator({ ...layer, ...rows() }), numbers(6), a),
  ],
  [
    'solve',
    { x0: numbers(6), signal: undefined },
    (a) => new ConjugateGradient().solve(new FisherOperator({ ...layer, ...rows() }), numbers(6), a),
  ],
  ['the operator', {}, (a) => new ConjugateGradient().solveSync(a, numbers(6))],
  ['LayerPreconditioner.record', rows(), (a) => recorded().record(a)],
  ['v', {}, (a) => recorded().preconditionSync(a)],
  ['v of a promise', {}, (a) => recorded().precondition(a)],
  ['preconditionSync', { spectrum: true }, (a) => recorded().preconditionSync(numbers(6), a)],
  ['precondition', { out: numbers(6) }, (a) => recorded().precondition(numbers(6), a)],
  ['signal', { aborted: false }, (a) => recorded().precondition(numbers(6), { signal: a })],
  ['naturalGradientSync', own(), (a) => recorded().naturalGradientSync(a)],
  ['naturalGradient', own(), (a) => recorded().naturalGradient(a)],
  ['applyTo', { weights: numbers(6), learningRate: 1 }, (a) => recorded().naturalGradient({ ...own(), applyTo: a })],
  ['setDamping', { relative: 1 }, (a) => recorded().setDamping(a)],
  ['preconditionAllSync', [{ layer: recorded(), v: numbers(6) }], (a) => preconditionAllSync(a)],
  ['preconditionAll', [{ layer: recorded(), v: numbers(6) }], (a) => preconditionAll(a)],
  ['a system', { layer: recorded(), v: numbers(6) }, (a) => preconditionAllSync([a])],
  ['the name of a layer', {}, (a) => network().registerDense(a, dense)],
  ['registerDense', dense, (a) => network().registerDense('other', a)],
  ['registerConv2d', convolution, (a) => network().registerConv2d('other', a)],
  [
    'padding',
    [
      [0, 0],
      [0, 0],
    ],
    (a) => network().registerConv2d('other', { ...convolution, padding: a }),
  ],
  ['registerEmbedding', { inputDim: 3, outputDim: 2 }, (a) => network().registerEmbedding('other', a)],
  ['registerScaleShift', { features: 3 }, (a) => network().registerScaleShift('other', a)],
  ['registerDiagonal', { features: 3 }, (a) => network().registerDiagonal('other', a)],
  ['the layer of record', {}, (a) => network().record(a, { inputs: numbers(12), lossGrads: numbers(8), batch: 4 })],
  [
    'Preconditioner.record',
    { inputs: numbers(12), lossGrads: numbers(8), batch: 4 },
    (a) => network().record('first', a),
  ],
  ['recordFisher', { outputGrads: numbers(8), batch: 4 }, (a) => network().recordFisher('first', a)],
  ['gradients', named, (a) => network().stepSync(a, { loss: 1 })],
  ['gradients of a promise', named, (a) => network().step(a, { loss: 1 })],
  ['stepSync', { loss: 1 }, (a) => network().stepSync({ first: numbers(6) }, a)],
  ['naturalGradientsSync', { loss: 1 }, (a) => network().naturalGradientsSync(a)],
  ['naturalGradients', { loss: 1 }, (a) => network().naturalGradients(a)],
  ['weightNorms', { first: 1 }, (a) => network().naturalGradientsSync({ loss: 1, weightNorms: a })],
  ['depths', { first: 1 }, (a) => network().naturalGradientsSync({ loss: 1, depths: a })],
  ['skip', {}, (a) => network().skip(a)],
  ['reportLoss', {}, (a) => network().reportLoss(a)],
  ['withAveragedWeights', {}, (a) => network().withAveragedWeights(a)],
  ['loadStateDict', network().stateDict(), (a) => network().loadStateDict(a)],
  ['factors of a state', sides, (a) => network().loadStateDict(stateWith({ factors: a }))],
  ['solver of a state', {}, (a) => network({ method: 'kfac' }).loadStateDict(stateWith({ solver: a }))],
  ['plan', { batch: 4, rows: {} }, (a) => network().plan(a)],
  ['rows of plan', { first: 2 }, (a) => network().plan({ batch: 4, rows: a })],
  ['refreshDueAfter', {}, (a) => network().refreshDueAfter(a)],
  ['resize', { inputShape: [4, 4, 1] }, (a) => network().resize('first', a)],
  ['learningRate', {}, (a) => Object.assign(network(), { learningRate: a })],
  ['setThreads', {}, (a) => setThreads(a)],
];

describe('whatever is given, an error of the package or a result', () => {
  test.each(entries)('for %s', async (name, given, call) => {
    // what a callback throws is its own
    const callbacks = name === 'withAveragedWeights' ? ['a function', 'a revoked proxy of a function'] : [];
    for (const [what, value] of Object.entries(hostileValues)) {
      if (!callbacks.includes(what)) expectCoded(await caught(() => call(value() as never)));
      // each of its properties
      for (const property of Object.keys(given)) {
        const spoiled = Array.isArray(given) ? [value()] : { ...given, [property]: value() };
        expectCoded(await caught(() => call(spoiled as never)));
      }
    }
    const error = await caught(() => call(unreadable(given) as never));
    const isRead = Object.keys(given).length > 0 && !Array.isArray(given) && name !== 'weightNorms';
    if (isRead) expect(error).toBeInstanceOf(CgfacError);
    expectCoded(error);
  });
});

test('arrays whose own methods throw are arrays like others', async () => {
  for (const sync of [true, false]) {
    const [weights, expected] = [spoilt(numbers(6)), numbers(6)];
    for (const each of [weights, expected]) {
      const preconditioner = new Preconditioner({ lossReduction: 'sum' });
      preconditioner.registerDense('first', { ...dense, weights: each });
      preconditioner.record('first', { inputs: spoilt(numbers(12)), lossGrads: spoilt(numbers(8)), batch: 4 });
      if (sync) preconditioner.naturalGradientsSync({ loss: 1 });
      else await preconditioner.naturalGradients({ loss: 1 });
      preconditioner.loadStateDict(preconditioner.stateDict());
      await preconditioner.withAveragedWeights(() => undefined);
      preconditioner.finalizeVariableValues();
    }
    expect(Array.from({ length: 6 }, (_, i) => weights[i])).toEqual(Array.from(expected));
  }
});

describe('a schedule', () => {
  const names = ['damping', 'learningRate', 'momentum', 'weightDecay', 'emaMomentum', 'polyakFraction'] as const;

  test.each([...names, 'factorUpdateSteps'] as const)(
    'for %s that calls back into the object is refused, and nothing changes',
    async (name) => {
      let calls: (() => unknown)[] = [];
      const preconditioner = network({ [name]: () => calls.shift()?.() ?? 0 });
      const before = structuredClone(preconditioner.stateDict());
      const again = [
        () => preconditioner.naturalGradientsSync({ loss: 1 }),
        () => preconditioner.stepSync({ first: numbers(6) }, { loss: 1 }),
        () => preconditioner.refreshDue,
        () => preconditioner.reset(),
        () => preconditioner.discard(),
        () => preconditioner.record('first', { inputs: numbers(12), lossGrads: numbers(8), batch: 4 }),
        () => preconditioner.loadStateDict(before),
      ];
      for (const call of again) {
        for (const step of [
          () => preconditioner.naturalGradientsSync({ loss: 1 }),
          () => preconditioner.naturalGradients({ loss: 1 }),
        ]) {
          calls = Array.from({ length: 50 }, () => call);
          expect(await caught(step)).toMatchObject({ code: 'ERR_CGFAC_BUSY' });
        }
      }
      expect(preconditioner.stateDict()).toEqual(before);
    },
  );

  test.each(['learningRate', 'polyakFraction'] as const)('for %s may give 0: a step of length 0', async (name) => {
    for (const sync of [true, false]) {
      const weights = numbers(6);
      const preconditioner = new Preconditioner({ lossReduction: 'sum', [name]: () => 0 });
      preconditioner.registerDense('first', { ...dense, weights });
      preconditioner.record('first', { inputs: numbers(12), lossGrads: numbers(8), batch: 4 });
      const { summary } = sync
        ? preconditioner.naturalGradientsSync({ loss: 1 })
        : await preconditioner.naturalGradients({ loss: 1 });
      expect(summary).toMatchObject({ stepSize: 0, predictedDecrease: 0 });
      expect(summary.skipped).toBeUndefined();
      expect(weights).toEqual(numbers(6));
    }
  });

  test('for klClip may give 0, beside a learning rate of 0 too', () => {
    for (const learningRate of [0, 1]) {
      const weights = numbers(6);
      const preconditioner = new Preconditioner({
        lossReduction: 'sum',
        stepRule: 'kl-clip',
        klClip: () => 0,
        learningRate,
      });
      preconditioner.registerDense('first', { ...dense, weights });
      preconditioner.record('first', { inputs: numbers(12), lossGrads: numbers(8), batch: 4 });
      expect(preconditioner.naturalGradientsSync().summary).toMatchObject({ stepSize: 0 });
      expect(weights).toEqual(numbers(6));
    }
  });
});

test('a getter that calls the very call that reads it: an error of the package, and no overflow of the stack', () => {
  const solver = recorded();
  const options = {
    get out(): Float32Array {
      return solver.preconditionSync(numbers(6), options).x;
    },
  };
  expect(() => solver.preconditionSync(numbers(6), options)).toThrow(CgfacError);
  expect(solver.preconditionSync(numbers(6)).reason).toBe('converged');
});

test('what a getter throws may be anything, even what cannot be asked what it is', async () => {
  for (const thrown of [hostileValues['a revoked proxy'], hostileValues['a proxy that throws']]) {
    const options = {
      get loss(): number {
        throw thrown?.();
      },
    };
    for (const call of [() => network().naturalGradientsSync(options), () => network().naturalGradients(options)])
      expect(await caught(call)).toMatchObject({ code: 'ERR_CGFAC_INVALID_ARG_VALUE' });
  }
});

test('layers that plan does not know are refused', () => {
  const preconditioner = network({ skipLayers: ['left out'] });
  preconditioner.registerDense('left out', dense);
  expect(() => preconditioner.plan({ batch: 4, rows: { frist: 2 } })).toThrow(CgfacError);
  expect(() => preconditioner.plan({ batch: 4, rows: null as never })).toThrow(CgfacError);
  expect(preconditioner.plan({ batch: 4, rows: { first: 2, 'left out': 2 } }).layers).toHaveLength(1);
});

test('an option is read once: what a getter gives afterwards is not seen', () => {
  let reads = 0;
  const options = {
    get out() {
      reads++;
      return reads === 1 ? numbers(6) : (Symbol('any') as never);
    },
  };
  recorded().preconditionSync(numbers(6), options);
  expect(reads).toBe(1);
});

test('a refused record changes nothing', () => {
  const preconditioner = network();
  const expected = network();
  const batch = { inputs: numbers(12), batch: 4 };
  expect(() => preconditioner.record('first', batch as never)).toThrow(CgfacError);
  expect(() => preconditioner.record('first', { ...batch, lossGrads: numbers(7) })).toThrow(CgfacError);
  const steps = [preconditioner, expected].map((each) => each.naturalGradientsSync({ loss: 1 }).summary);
  const [first, second] = steps.map(({ innerProduct, stepSize }) => ({ innerProduct, stepSize }));
  expect(first).toEqual(second);
});

describe("a layer called '__proto__'", () => {
  const made = () => {
    const preconditioner = new Preconditioner({ lossReduction: 'sum' });
    preconditioner.registerDense('__proto__', dense);
    preconditioner.record('__proto__', { inputs: numbers(12), lossGrads: numbers(8), batch: 4 });
    return preconditioner;
  };

  test('has its update, its gradient and its part of a state', () => {
    const preconditioner = made();
    const { updates, summary } = preconditioner.naturalGradientsSync({ loss: 1 });
    expect(Object.keys(updates)).toEqual(['__proto__']);
    expect(summary.layers.map(({ name }) => name)).toEqual(['__proto__']);
    const state = preconditioner.stateDict();
    expect(Object.keys(state.layers)).toEqual(['__proto__']);
    for (const copy of [state, structuredClone(state)]) {
      const resumed = made();
      resumed.loadStateDict(copy);
      expect(resumed.stateDict()).toEqual(state);
    }
    expect(made().naturalGradientsSync({ loss: Number.NaN }).updates).toHaveProperty('__proto__', new Float32Array(6));
    expect(() => made().stepSync({}, { loss: 1 })).toThrow('gradients.__proto__');
    const gradients = Object.fromEntries([['__proto__', numbers(6)]]);
    expect(made().stepSync(gradients, { loss: 1 }).skipped).toBeUndefined();
    expect(Object.values(gradients)[0]).not.toEqual(numbers(6));
  });
});
