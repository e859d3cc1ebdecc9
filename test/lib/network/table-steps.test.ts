/** Steps that are not taken, and steps after a resume, for every entry of the table that works: the same bits. */
import type { Preconditioner, StepSummary, WeightVector } from 'cgfac';
import { arraysOf } from '../../support/layers';
import { copyOf } from '../../support/networks';
import type { Entry } from '../../support/table';
import { layersOf, slim, type TableLayer, type Variant, variantsOf } from '../../support/table-cases';
import {
  averagesOf,
  givenGradients,
  networkOf,
  optionsOf,
  record,
  stepOf,
  type Vectors,
  working,
} from '../support/network-table';

const rank = 6;
const fixed = {
  damping: { relative: 4 },
  stepRule: 'fixed',
  learningRate: 0.5,
  momentum: 0.5,
  emaMomentum: 0.05, // below (1 + t)/(10 + t) of every step, so that averages do not depend on t
} as const;

/** All bits of typed arrays in a value, with what is about them. */
function bitsOf(value: object): string {
  return JSON.stringify(value, (_, part) =>
    ArrayBuffer.isView(part) ? Buffer.from(part.buffer, part.byteOffset, part.byteLength).toString('base64') : part,
  );
}

interface Call {
  readonly loss?: number;
  readonly signal?: AbortSignal;
}

/** A network of an entry, its weights, and the steps that it takes. */
class Run {
  readonly layers: readonly TableLayer[];
  readonly variant: Variant;
  readonly weights: Vectors;
  readonly preconditioner: Preconditioner;

  constructor(
    readonly entry: Entry,
    factorUpdateSteps: number,
    weights?: Vectors,
  ) {
    [this.variant] = variantsOf(entry);
    this.layers = layersOf(entry, rank).slice(0, 3);
    this.weights = weights ?? givenGradients(this.layers, 7, this.variant);
    const { lossReduction } = this.variant;
    const all = { ...fixed, ...optionsOf(entry), ...averagesOf(entry, rank) };
    this.preconditioner = networkOf({ lossReduction, factorUpdateSteps, ...all }, this.layers, this.weights);
  }

  /** A step with batch `index`; what `step` has rewritten is taken from the weights. */
  async step(index: number, call: Call = {}): Promise<StepSummary> {
    record(this.preconditioner, this.layers, index, this.variant);
    return await this.stepWith(index, call);
  }

  /** The same with what was recorded. */
  async stepWith(index: number, call: Call = {}): Promise<StepSummary> {
    const gradients = givenGradients(this.layers, index, this.variant);
    const { summary } = await stepOf(this.entry, this.preconditioner, gradients, call);
    if (this.entry.gradient === 'given')
      for (const [name, gradient] of Object.entries(gradients)) subtract(this.weights[name], gradient);
    return summary;
  }

  /** Everything that the steps to come depend on, but how many there were. */
  bits(): Record<string, string> {
    const { layers } = this.preconditioner.stateDict();
    return Object.fromEntries(
      Object.entries(layers).map(([name, layer]) => [name, bitsOf({ layer, weights: this.weights[name] })]),
    );
  }
}

function subtract(weights: WeightVector | undefined, update: WeightVector): void {
  const changes = arraysOf(update);
  arraysOf(weights ?? new Float32Array()).forEach((array, place) => {
    array.forEach((weight, i) => {
      array[i] = weight - (changes[place]?.[i] ?? Number.NaN);
    });
  });
}

/** Ways not to take a step. Each leaves weights, momentum, averages, factors and warm starts as they were. */
const skips: Record<string, (run: Run) => Promise<void> | void> = {
  'a loss that is NaN': async (run) => {
    expect(await run.step(2, { loss: Number.NaN })).toMatchObject({ skipped: 'the loss is NaN' });
  },
  'NaN in a row': async (run) => {
    record(run.preconditioner, run.layers, 2, run.variant);
    const { name, inFeatures, outFeatures } = run.layers[1] ?? slim;
    const inputs = new Float32Array(inFeatures).fill(Number.NaN, 3, 4);
    run.preconditioner.record(name, { inputs, lossGrads: new Float32Array(outFeatures), batch: 1 });
    expect(await run.stepWith(2)).toMatchObject({ skipped: expect.stringContaining(`layer ${name}: `) });
  },
  'a step beyond float32, which shows once it is prepared': async (run) => {
    run.preconditioner.learningRate = 1e300;
    expect(await run.step(2)).toMatchObject({ skipped: expect.stringContaining('leaves the range of float32') });
    run.preconditioner.learningRate = fixed.learningRate;
  },
  'a call of skip()': (run) => {
    record(run.preconditioner, run.layers, 2, run.variant);
    expect(run.preconditioner.skip('the caller has no step')).toMatchObject({ skipped: 'the caller has no step' });
  },
  'an abort': async (run) => {
    const controller = new AbortController();
    const pending = run.step(2, { signal: controller.signal });
    controller.abort();
    await expect(pending).rejects.toMatchObject({ name: 'AbortError' });
  },
};

describe.each(working)('$name', ({ entry }) => {
  const possible = Object.entries(skips).filter(([what]) => what !== 'an abort' || entry.call === 'async');
  test.each(possible)('%s leaves no trace', async (_, skip) => {
    const [run, without] = [new Run(entry, 1), new Run(entry, 1)];
    for (const each of [run, without]) for (const index of [0, 1]) await each.step(index);
    await skip(run);
    expect(run.bits()).toEqual(without.bits());
    for (const index of [3, 4]) {
      for (const each of [run, without]) expect(await each.step(index)).toMatchObject({ stepSize: fixed.learningRate });
      expect(run.bits()).toEqual(without.bits());
    }
  });

  test('a first step that is not taken leaves none', async () => {
    const [run, without] = [new Run(entry, 1), new Run(entry, 1)];
    await skips['a step beyond float32, which shows once it is prepared']?.(run);
    expect(run.bits()).toEqual(without.bits());
    for (const each of [run, without]) await each.step(0);
    expect(run.bits()).toEqual(without.bits());
  });

  test('a resumed run has the bits of one that went on', async () => {
    const run = new Run(entry, 3);
    for (const index of [0, 1, 2, 3]) await run.step(index);
    const resumed = new Run(entry, 3, copyOf(run.weights));
    resumed.preconditioner.loadStateDict(structuredClone(run.preconditioner.stateDict()));
    expect(resumed.bits()).toEqual(run.bits());
    for (const refreshed of [false, false, true, false]) {
      const index = run.preconditioner.steps;
      for (const each of [run, resumed]) expect(await each.step(index)).toMatchObject({ step: index, refreshed });
      expect(resumed.bits()).toEqual(run.bits());
    }
  });
});
