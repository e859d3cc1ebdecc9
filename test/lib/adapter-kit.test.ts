/** A second adapter can be written on the kit, and the kit holds nothing that no adapter uses. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Preconditioner, type PreconditionerOptions, type WeightVector } from 'cgfac';
import { sampledErrors } from '../../lib/kernels/sampled-errors';
import { randomNumbers } from '../support/layers';
import { PlainAdapter, type PlainLayer, type PlainPass } from '../support/plain-adapter';

const B = 24;
const STEPS = 25;
const [IN, HIDDEN, OUT] = [6, 5, 3];

/** Two layers, 6-5-3, whose weights are always the same at first. */
const network = (): [PlainLayer, PlainLayer] => {
  const layer = (inFeatures: number, outFeatures: number, seed: number): PlainLayer => {
    const kernel = randomNumbers(outFeatures * inFeatures, seed).map((value) => value / Math.sqrt(inFeatures));
    return { inFeatures, outFeatures, weights: { kernel, bias: new Float32Array(outFeatures) } };
  };
  return [layer(IN, HIDDEN, 1), layer(HIDDEN, OUT, 2)];
};

const x = randomNumbers(B * IN, 3);
const positive = (at: number) => ((x[at] ?? 0) > 0 ? 1 : 0);
/** How many of the first two inputs are positive. */
const classes = Array.from({ length: B }, (_, row) => positive(row * IN) + positive(row * IN + 1));

/** W a + b for every row. */
function affine({ inFeatures, outFeatures, weights }: PlainLayer, a: Float32Array): Float32Array {
  return Float32Array.from({ length: B * outFeatures }, (_, at) => {
    const [row, j] = [Math.floor(at / outFeatures), at % outFeatures];
    let sum = weights.bias[j] ?? 0;
    for (let i = 0; i < inFeatures; i++)
      sum += (weights.kernel[j * inFeatures + i] ?? 0) * (a[row * inFeatures + i] ?? 0);
    return sum;
  });
}

/** A forward and backward pass of tanh and softmax under a cross-entropy, by naive loops. */
function pass([first, second]: readonly [PlainLayer, PlainLayer]): PlainPass {
  const h = affine(first, x).map(Math.tanh);
  const z = affine(second, h).map(Math.exp);
  const sums = Array.from({ length: B }, (_, row) => z.subarray(row * OUT, (row + 1) * OUT).reduce((a, b) => a + b));
  const p = z.map((value, at) => value / (sums[Math.floor(at / OUT)] ?? 1));
  /** gᵀ through the second kernel and tanh′ = 1 − h². */
  const backward = (g: Float32Array): [Float32Array, Float32Array] => [
    h.map((value, at) => {
      const [row, i] = [Math.floor(at / HIDDEN), at % HIDDEN];
      let sum = 0;
      for (let j = 0; j < OUT; j++) sum += (g[row * OUT + j] ?? 0) * (second.weights.kernel[j * HIDDEN + i] ?? 0);
      return sum * (1 - value * value);
    }),
    g,
  ];
  const loss = classes.reduce((sum, label, row) => sum - Math.log(p[row * OUT + label] ?? 0) / B, 0);
  const lossGrads = backward(p.map((value, at) => value - (classes[Math.floor(at / OUT)] === at % OUT ? 1 : 0)));
  return { loss, batch: B, inputs: [x, h], lossGrads, probabilities: p, backward };
}

const arrays = (layers: readonly PlainLayer[]): WeightVector<true>[] => layers.map(({ weights }) => weights);

/** The same training, by hand: losses and weights. */
function trainedDirectly(options: PreconditionerOptions, steps: number) {
  const layers = network();
  const preconditioner = new Preconditioner(options);
  layers.forEach((layer, index) => {
    preconditioner.registerDense(String(index), layer);
  });
  const losses = Array.from({ length: steps }, () => {
    const { loss, inputs, lossGrads, probabilities, backward } = pass(layers);
    const ones = new Float64Array(B).fill(1);
    const errors = sampledErrors('categorical', probabilities, OUT, ones, preconditioner.uniforms());
    const sampled = preconditioner.refreshDue ? backward(errors) : [];
    layers.forEach((_, index) => {
      const [a, g, s] = [inputs[index], lossGrads[index], sampled[index]];
      if (a && g) preconditioner.record(String(index), { inputs: a, lossGrads: g, batch: B });
      if (s) preconditioner.recordFisher(String(index), { outputGrads: s, batch: B });
    });
    preconditioner.naturalGradientsSync({ loss });
    return loss;
  });
  return { losses, weights: arrays(layers) };
}

describe('an adapter over plain arrays', () => {
  const methods = [{}, { method: 'cg' }, { method: 'kfac' }, { factorUpdateSteps: 4 }] as const;

  it.each(methods)('trains, with the bits of the preconditioner used directly (%j)', (options) => {
    const layers = network();
    const adapter = new PlainAdapter(layers, { ...options, seed: 7 });
    const summaries = Array.from({ length: STEPS }, () => adapter.step(pass(layers)));
    const direct = trainedDirectly({ ...options, seed: 7, lossReduction: 'sum' }, STEPS);
    expect(summaries.map(({ loss }) => loss)).toEqual(direct.losses);
    expect(arrays(layers)).toEqual(direct.weights);
    expect(summaries.every(({ skipped }) => skipped === undefined)).toBe(true);
    expect(pass(layers).loss).toBeLessThan(0.5 * (direct.losses[0] ?? 0));
  });

  it('refuses a pass of another network by name', () => {
    const layers = network();
    const adapter = new PlainAdapter(layers, { seed: 7 });
    expect(() => adapter.step({ ...pass(layers), inputs: [x] })).toThrow(
      expect.objectContaining({ code: 'ERR_CGFAC_INVALID_ARG_VALUE' }),
    );
  });
});

describe('the adapter kit', () => {
  const root = join(__dirname, '../../lib');
  const read = (path: string) => readFileSync(join(root, path), 'utf8');
  const kit = read('adapter-kit.ts');
  /** The names in braces of what matches, sorted, each of them once. */
  const namesIn = (text: string, lists: RegExp) => {
    const found = [...text.matchAll(lists)].flatMap(([, list = '']) =>
      list.split(',').flatMap((name) => name.replace('type ', '').trim() || []),
    );
    return [...new Set(found)].sort();
  };

  it('defines nothing, and has a sentence for each of its lists', () => {
    expect(kit.replace(/^(\/\*\*.*?\*\/|export (type )?\{.*?\} from '[^']+';)$/gms, '').trim()).toBe('');
    expect([...kit.matchAll(/^export /gm)]).toHaveLength([...kit.matchAll(/\.( \*\/|\n \*\/)\nexport /g)].length);
  });

  it('holds exactly what lib/tfjs uses of lib', () => {
    const adapter = readdirSync(join(root, 'tfjs'), { recursive: true, encoding: 'utf8' })
      .filter((path) => path.endsWith('.ts'))
      .map((path) => read(join('tfjs', path)))
      .join('\n');
    const used = namesIn(adapter, /^(?:import|export) (?:type )?\{([^}]*)\} from '(?:\.\.\/)+adapter-kit';/gms);
    expect(used).toContain('Preconditioner');
    expect(namesIn(kit, /^export (?:type )?\{([^}]*)\}/gms)).toEqual(used);
  });
});
