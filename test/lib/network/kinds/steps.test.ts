/** What holds of layers of every kind between steps and in them. */
import { Preconditioner, type PreconditionerOptions, type WeightVector } from 'cgfac';
import { relativeError } from '../../../support/golden-case';
import { numbersOf } from '../../../support/golden-kinds';
import { type KindLayer, kindLayers, kindRows, kindVector, recordKind } from '../../../support/kind-layers';

const fixed = { stepRule: 'fixed', useEma: false, damping: { relative: 0.5 } } as const;

function made(
  layer: KindLayer,
  options: Partial<PreconditionerOptions> = {},
  more: Parameters<KindLayer['register']>[1] = {},
) {
  const preconditioner = new Preconditioner({ lossReduction: 'sum', ...fixed, ...options } as PreconditionerOptions);
  layer.register(preconditioner, more);
  return preconditioner;
}

const updateOf = (preconditioner: Preconditioner, options = {}) => {
  const { updates, summary } = preconditioner.naturalGradientsSync(options);
  return { update: updates.layer ?? new Float32Array(), summary };
};

const copyOf = (vector: WeightVector): WeightVector =>
  vector instanceof Float32Array ? vector.slice() : { kernel: vector.kernel.slice(), bias: vector.bias.slice() };

/** The parts of a vector. */
const partsOf = (vector: WeightVector) =>
  vector instanceof Float32Array ? { kernel: vector, bias: undefined } : vector;

describe.each(kindLayers.map((layer) => [layer.name, layer] as const))('%s', (_, layer) => {
  describe.each(['panel', 'dense', 'none'] as const)('with factorHistory %s', (factorHistory) => {
    const options = { factorHistory, factorUpdateSteps: 2, momentum: 0.5 };
    const step = (preconditioner: Preconditioner, seed: number, loss = 1) => {
      recordKind(preconditioner, kindRows(layer, seed));
      return updateOf(preconditioner, { loss });
    };

    it('goes on from a saved state with the same bits', () => {
      const [first, second] = [made(layer, options, { maxRows: 7 }), made(layer, options, { maxRows: 7 })];
      for (const seed of [1, 2, 3]) step(first, seed);
      second.loadStateDict(structuredClone(first.stateDict()));
      expect(second.stateDict()).toEqual(first.stateDict());
      for (const seed of [4, 5, 6]) expect(step(second, seed).update).toEqual(step(first, seed).update);
      expect(second.stateDict()).toEqual(first.stateDict());
    });

    it('is back where it was after a step that is not taken', () => {
      const [first, second] = [made(layer, options), made(layer, options)];
      for (const each of [first, second]) step(each, 1);
      const before = first.stateDict().layers;
      // found when the factors have taken in the rows
      const zeros = { ...kindRows(layer, 2), lossGrads: new Float32Array(6 * layer.outputs) };
      recordKind(first, zeros);
      expect(updateOf(first).summary.skipped).toBe('Σ⟨v, x⟩ is 0');
      expect(first.stateDict().layers).toEqual(before);
      expect(step(first, 3, Number.NaN).summary.skipped).toBe('the loss is NaN');
      expect(first.stateDict().layers).toEqual(before);
      expect(step(first, 4).update).toEqual(step(second, 4).update);
    });
  });

  it('moves registered weights by a gradient that is given, which it leaves alone', () => {
    const weights = kindVector(layer, 20);
    const gradient = kindVector(layer, 30);
    const [before, given] = [copyOf(weights), copyOf(gradient)];
    const [first, second] = [made(layer, { momentum: 0 }, { weights }), made(layer, { momentum: 0 })];
    for (const each of [first, second]) recordKind(each, kindRows(layer, 1), false);
    const { update } = updateOf(second, { gradients: { layer: given } });
    expect(first.naturalGradientsSync({ gradients: { layer: gradient } }).updates).toEqual({});
    expect(gradient).toEqual(given);
    const moved = numbersOf(before).map((value, at) => value - (numbersOf(update)[at] ?? Number.NaN));
    expect(numbersOf(weights)).toEqual(moved);
    expect(moved).not.toEqual(numbersOf(before));
  });

  it('takes steps of given gradients alone with the factors of an earlier one', () => {
    const preconditioner = made(layer, { momentum: 0 });
    recordKind(preconditioner, kindRows(layer, 1));
    const first = updateOf(preconditioner, { gradients: { layer: kindVector(layer, 30) } });
    const again = updateOf(preconditioner, { gradients: { layer: kindVector(layer, 30) } });
    expect([first.summary.refreshed, again.summary.refreshed]).toEqual([true, false]);
    expect(again.update).toEqual(first.update);
  });
});

describe.each(kindLayers.filter(({ output }) => output).map((layer) => [layer.name, layer] as const))(
  "%s, stepRule 'quadratic'",
  (_, layer) => {
    // Σ over the outputs of a sample of g·(z(X) − z(0)), in float64
    const products = ({ inputs, outputGrads, batch }: ReturnType<typeof kindRows>, x: WeightVector) => {
      const { kernel, bias } = partsOf(x);
      const nothing = bias && new Float32Array(bias.length);
      return Float64Array.from({ length: batch }, (__, b) => {
        const own = inputs.subarray(b * layer.inputs, (b + 1) * layer.inputs);
        const z = layer.output?.(own, kernel, bias) ?? new Float64Array();
        const from = layer.output?.(own, new Float32Array(kernel.length), nothing) ?? new Float64Array();
        return z.reduce((sum, value, at) => {
          return sum + (value - (from[at] ?? 0)) * (outputGrads[b * layer.outputs + at] ?? Number.NaN);
        }, 0);
      });
    };

    it('is as long as the directional derivatives of the samples make it', () => {
      const options = { stepRule: 'quadratic', momentum: 0, maxRelativeChange: 1e9, factorUpdateSteps: 3 } as const;
      const preconditioner = made(layer, options);
      for (const seed of [1, 2, 3]) {
        // the third batch, which the factors do not take in, has larger ones than they know of
        const rows = kindRows(layer, seed);
        const scaled = { ...rows, outputGrads: rows.outputGrads.map((g) => (seed === 3 ? 9 : 1) * g) };
        recordKind(preconditioner, scaled);
        const { update, summary } = updateOf(preconditioner, { loss: 1e9 });
        const { innerProduct: r, stepSize: e } = summary;
        const x = numbersOf(update).map((value) => value / e);
        const vector =
          update instanceof Float32Array ? x : { kernel: x.subarray(0, layer.kernel), bias: x.subarray(layer.kernel) };
        const u = products(scaled, vector);
        const q = u.reduce((sum, each) => sum + each * each, 0) / rows.batch;
        expect(relativeError([e], [Math.min(1, r / (q + 0.1 * r))])).toBeLessThan(1e-5);
        if (seed === 3) expect(e).toBeLessThan(0.95);
      }
    });
  },
);

describe.each(['conv2d', 'conv3d', 'conv2dTranspose', 'depthwiseConv2d'])('%s, maxRows', (name) => {
  const layer = kindLayers.find((each) => each.name === name) as KindLayer;
  const DRAWS = 400;
  const MAX_ROWS = 24;
  /** The averages of both factors after so many refreshes with the same rows. */
  const averages = (maxRows: number, steps: number) => {
    // the weight of a refresh falls by a thousandth with each later one: an average of nearly all
    const options = { factorHistory: 'dense', factorDecay: 0.999, factorUpdateSteps: 1, momentum: 0 } as const;
    const preconditioner = made(layer, options, { maxRows });
    const rows = kindRows(layer, 1, 8);
    for (let step = 0; step < steps; step++) {
      recordKind(preconditioner, rows);
      updateOf(preconditioner);
    }
    const factors = preconditioner.stateDict().layers.layer?.factors;
    return { input: factors?.input.average ?? [], output: factors?.output.average ?? [] };
  };

  it('draws others at each refresh, and is unbiased', () => {
    const all = averages(1000, 1);
    const one = averages(MAX_ROWS, 1);
    const many = averages(MAX_ROWS, DRAWS);
    for (const side of ['input', 'output'] as const) {
      const error = relativeError(one[side], all[side]);
      expect(error).toBeGreaterThan(0.05);
      // the mean of 400 draws is twenty times as near as one; half of that is left to chance
      expect(relativeError(many[side], all[side])).toBeLessThan(error / 10);
    }
  });
});

it('samples of another size make the gradient of a layer of that size, and leave the factors what they are', () => {
  const conv2d = kindLayers[0] as KindLayer;
  const larger = { inputShape: [7, 4, 2], kernelSize: [3, 2], strides: [2, 1], padding: 'same', filters: 3 } as const;
  const rows = kindRows({ ...conv2d, inputs: 7 * 4 * 2, outputs: 4 * 4 * 3 }, 5);
  const options = { damping: 1e12, momentum: 0 };
  const resized = made(conv2d, options);
  recordKind(resized, kindRows(conv2d, 1));
  updateOf(resized);
  const before = resized.stateDict().layers;
  resized.resize('layer', { inputShape: larger.inputShape });
  expect(resized.stateDict().layers).toEqual(before);
  const other = new Preconditioner({ lossReduction: 'sum', ...fixed, ...options });
  other.registerConv2d('layer', larger);
  // with a damping far above the factors both directions are the gradient over λ
  const [found, expected] = [resized, other].map((each) => {
    recordKind(each, rows);
    return numbersOf(updateOf(each).update);
  });
  expect(relativeError(found ?? [], expected ?? [])).toBeLessThan(1e-6);
  expect(resized.report().layers[0]?.shape).toBe(other.report().layers[0]?.shape);
});

describe('of arrays that a layer is registered with', () => {
  const given = () => ({
    inputShape: [5, 4, 2],
    kernelSize: [3, 2],
    strides: [2, 1],
    dilations: [1, 1],
    padding: [
      [1, 1],
      [0, 0],
    ] as [number, number][],
  });
  const kinds = {
    registerConv2d: { ...given(), filters: 3 },
    registerDepthwiseConv2d: given(),
    registerConv2dTranspose: { inputShape: [3, 3, 2], kernelSize: [3, 2], strides: [2, 1], filters: 3 },
  };

  test.each(['registerConv2d', 'registerDepthwiseConv2d', 'registerConv2dTranspose'] as const)(
    '%s keeps copies',
    (register) => {
      const shapes = [false, true].map((spoils) => {
        const options = structuredClone(kinds[register]);
        const preconditioner = new Preconditioner({ lossReduction: 'sum', ...fixed });
        preconditioner[register]('layer', options as never);
        const arrays: unknown[][] = Object.values(options).filter((value) => Array.isArray(value));
        if (spoils)
          for (const each of arrays.flatMap((array) => [...array.filter(Array.isArray), array])) each.fill(99);
        preconditioner.resize('layer', { inputShape: [7, 6, 2] });
        return preconditioner.report().layers[0]?.shape;
      });
      expect(shapes[1]).toBe(shapes[0]);
    },
  );

  test('weights may be moved to other arrays: a layer that is resized has its own', () => {
    const weights = { kernel: new Float32Array(36), bias: new Float32Array(3) };
    const preconditioner = new Preconditioner({ lossReduction: 'sum', ...fixed });
    const image = { inputShape: [5, 4, 2], kernelSize: [3, 2], filters: 3 };
    preconditioner.registerConv2d('layer', { ...image, weights });
    weights.kernel = new Float32Array(1);
    preconditioner.resize('layer', { inputShape: [7, 6, 2] });
    expect(preconditioner.report().layers[0]?.shape).toContain('7×6×2');
  });
});
