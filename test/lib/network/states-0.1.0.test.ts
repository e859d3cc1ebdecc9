/** States that 0.1.0 saved, with the step that it took next. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Preconditioner, type PreconditionerOptions, type PreconditionerState, type WeightVector } from 'cgfac';
import { at, dot, relativeError } from '../../support/golden-case';
import { copyOf, numbersOf } from '../../support/networks';

type Weights = Readonly<Record<'wide' | 'last', WeightVector>>;

interface Rows {
  readonly inputs: Float32Array;
  readonly lossGrads: Float32Array;
  readonly batch: number;
  readonly outputGrads: Float32Array;
}

/** One way to precondition, four steps of it, and the fifth. */
interface Saved {
  readonly options: Partial<PreconditionerOptions>;
  readonly state: PreconditionerState;
  readonly weights: Weights;
  readonly next: Readonly<Record<'wide' | 'last', Rows>>;
  readonly weightsAfter: Weights;
}

/** Arrays are written as { float32: base64 } and { float64: base64 }. */
function revive(_: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  const bytes = (base64: unknown) => Uint8Array.from(Buffer.from(String(base64), 'base64')).buffer;
  if ('float32' in value) return new Float32Array(bytes(value.float32));
  return 'float64' in value ? new Float64Array(bytes(value.float64)) : value;
}

const file = join(__dirname, '../../fixtures/states-0.1.0.json');
const saved = JSON.parse(readFileSync(file, 'utf8'), revive).preconditioner as Readonly<Record<string, Saved>>;
const names = Object.keys(saved);

function savedAs(name: string): Saved {
  const found = saved[name];
  if (found === undefined) throw new Error(`no state ${name}`);
  return found;
}

function networkOf(options: Partial<PreconditionerOptions>, weights: Weights): Preconditioner {
  const preconditioner = new Preconditioner({ lossReduction: 'sum', seed: 3, ...options });
  const { wide, last } = weights;
  const kernelLayout = 'in-out';
  preconditioner.registerDense('wide', { inFeatures: 9, outFeatures: 6, bias: true, kernelLayout, weights: wide });
  preconditioner.registerDense('last', { inFeatures: 6, outFeatures: 4, bias: false, weights: last });
  return preconditioner;
}

/** The step that follows a state: the weights after it. */
function stepAfter({ options, state, weights, next }: Saved): Weights {
  const after = copyOf(weights) as Weights;
  const preconditioner = networkOf(options, after);
  preconditioner.loadStateDict(state);
  expect(preconditioner.steps).toBe(4);
  for (const [name, { inputs, lossGrads, batch, outputGrads }] of Object.entries(next)) {
    preconditioner.record(name, { inputs, lossGrads, batch });
    preconditioner.recordFisher(name, { outputGrads, batch: 6 });
  }
  const { summary } = preconditioner.naturalGradientsSync({ loss: 2 });
  expect(summary).toMatchObject({ step: 4, layers: [{ name: 'wide' }, { name: 'last' }] });
  expect(summary.skipped).toBeUndefined();
  return after;
}

/** Direct K-FAC's averages have another start since: the first batches weigh less in them. */
const averaged = ['kfac', 'kfacFactored'];

test('the file has every way to precondition', () => {
  expect(names).toEqual(['default', 'panel', 'dense', 'none', 'tikhonov', 'cg', ...averaged, 'auto']);
});

/** What two vectors of weights differ by. */
function change(to: Weights, from: Weights): Float64Array {
  const before = numbersOf(from);
  return numbersOf(to).map((value, i) => value - at(before, i));
}

test.each(names.filter((name) => !averaged.includes(name)))('%s: the same next step', (name) => {
  const { weights, weightsAfter } = savedAs(name);
  const after = stepAfter(savedAs(name));
  expect(relativeError(change(after, weights), change(weightsAfter, weights))).toBeLessThanOrEqual(1e-5);
});

test.each(averaged)('%s: a finite step of about the same length', (name) => {
  const { weights, weightsAfter } = savedAs(name);
  const length = (to: Weights) => Math.sqrt(dot(change(to, weights), change(to, weights)));
  const after = stepAfter(savedAs(name));
  expect(Math.abs(length(after) / length(weightsAfter) - 1)).toBeLessThanOrEqual(0.2);
});

test('a state of another version is refused, and what to do about it is said', () => {
  const { options, state, weights } = savedAs('default');
  const preconditioner = networkOf(options, copyOf(weights) as Weights);
  const before = preconditioner.stateDict();
  expect(() => preconditioner.loadStateDict({ ...state, version: 2 } as never)).toThrow(
    expect.objectContaining({
      code: 'ERR_CGFAC_INVALID_ARG_TYPE',
      message:
        'Expected 1, all that this release reads (load the state with the release that saved it, or go on ' +
        'without it), for state.version but received 2',
    }),
  );
  expect(preconditioner.stateDict()).toEqual(before);
});

/** Pairs that keep the same: factors of one history and damping, and no solution of conjugate gradients. */
const alike = (saving: string, loading: string) => {
  const kinds = [
    ['default', 'panel', 'dense'],
    ['tikhonov', 'cg', 'auto'],
    ['kfac', 'kfacFactored'],
  ];
  return saving === loading || kinds.some((kind) => kind.includes(saving) && kind.includes(loading));
};
const others = names.flatMap((saving) =>
  names.filter((loading) => !alike(saving, loading)).map((loading) => ({ saving, loading })),
);

test.each(others)('the state of $saving is refused by $loading, and what to do about it is said', (pair) => {
  const { options, weights } = savedAs(pair.loading);
  const preconditioner = networkOf(options, copyOf(weights) as Weights);
  const before = preconditioner.stateDict();
  expect(() => preconditioner.loadStateDict(savedAs(pair.saving).state)).toThrow(
    expect.objectContaining({
      code: 'ERR_CGFAC_SHAPE_MISMATCH',
      message:
        'Expected the state of a layer of the same shape, method, dampingMode and factorHistory for ' +
        'state.layers.wide but received another; load it under the options that it was saved with, or go on without it',
    }),
  );
  expect(preconditioner.stateDict()).toEqual(before);
});
