/** Directions of one layer, by every method and form. */
import {
  ConjugateGradient,
  FisherOperator,
  LayerPreconditioner,
  type LayerPreconditionerOptions,
  preconditionAll,
  type WeightVector,
} from 'cgfac';
import { arraysOf, randomNumbers } from '../../support/layers';
import { layerTable } from '../../support/solvers';
import type { Random } from '../random';
import type { Report } from '../tally';
import { repeat, type WatchedCall, watch } from '../watched';
import type { LayerCase } from './layer-case';
import { compareWithTruth } from './truth';

/** Rows of a batch. */
export interface CaseRows {
  readonly inputs: Float32Array;
  readonly outputGrads: Float32Array;
  readonly lossGrads: Float32Array;
  readonly batch: number;
  readonly fisherRows: number;
}

const choices = {
  method: ['auto', 'cg', 'exact', 'kfac'],
  dampingMode: ['tikhonov', 'factored'],
  factorHistory: ['none', 'panel', 'dense'],
  block: ['kronecker', 'sample'],
} as const;

/** A row of the table of what works, and a value for each of its parts. */
function form(random: Random): Partial<LayerPreconditionerOptions> {
  const { where } = random.pick(layerTable.rows.filter(({ refused }) => refused === undefined));
  const parts = Object.entries(choices).map(([name, values]) => {
    const own: readonly string[] = where[name as keyof typeof choices] ?? values;
    return [name, random.pick(own)];
  });
  const made: Partial<LayerPreconditionerOptions> = Object.fromEntries(parts);
  const iterates = made.method === 'cg' || made.method === 'auto';
  const more = iterates
    ? {
        space: random.pick(['auto', 'gram', 'weight'] as const),
        warmStart: random.pick(['none', 'previous', 'scaled'] as const),
        maxIterations: random.integer(1, 30),
        tolerance: random.pick([0, 1e-3, 1e-1]),
      }
    : {};
  const averages = made.factorHistory === 'none' ? {} : { factorDecay: random.pick([0, 0.5, 0.95]) };
  const panel = made.factorHistory === 'panel' ? { rank: random.integer(1, 40) } : {};
  return { ...made, ...more, ...averages, ...panel };
}

/** Mostly tiny, now and then so large that a call takes some milliseconds. */
function size(random: Random): number {
  const kind = random.next();
  if (kind < 0.7) return random.integer(1, 8);
  return kind < 0.95 ? random.integer(9, 60) : random.integer(61, 260);
}

/** A random layer. */
function layerCase(random: Random): LayerCase {
  const [inFeatures, outFeatures, bias] = [size(random), size(random), random.chance(0.5)];
  const damping = { relative: 10 ** (4 * random.next() - 2) };
  const kernelLayout = random.pick(['out-in', 'in-out'] as const);
  const options = {
    ...form(random),
    inFeatures,
    outFeatures,
    bias,
    damping,
    kernelLayout,
    lossReduction: 'sum',
  } as const;
  return { options, inFeatures, outFeatures, bias, damping };
}

/** Rows of a random number of samples. */
function rowsOf(random: Random, { inFeatures, outFeatures, options }: LayerCase): CaseRows {
  const batch = size(random);
  const fisherRows = options.block === 'sample' || random.chance(0.5) ? batch : size(random);
  return {
    inputs: randomNumbers(batch * inFeatures, random.seed()),
    outputGrads: randomNumbers(fisherRows * outFeatures, random.seed()),
    lossGrads: randomNumbers(batch * outFeatures, random.seed()),
    batch,
    fisherRows,
  };
}

/** A vector of the layer. */
function vectorOf(random: Random, { inFeatures, outFeatures, bias }: LayerCase): WeightVector {
  const kernel = randomNumbers(inFeatures * outFeatures, random.seed());
  return bias ? { kernel, bias: randomNumbers(outFeatures, random.seed()) } : kernel;
}

const copy = (vector: WeightVector): WeightVector =>
  vector instanceof Float32Array ? vector.slice() : { kernel: vector.kernel.slice(), bias: vector.bias.slice() };

/** The arrays of a vector under a name. */
const named = (name: string, vector: WeightVector): Record<string, Float32Array> =>
  Object.fromEntries(arraysOf(vector).map((array, i) => [`${name}${i}`, array]));

/** An object and its twin, which calls that block are made of. */
interface Pair {
  readonly subject: LayerPreconditioner<boolean>;
  readonly twin: LayerPreconditioner<boolean>;
  /** Whether they have a history, in which older batches are. */
  readonly old: boolean;
}

const room = (vector: WeightVector): WeightVector => {
  const empty = copy(vector);
  for (const array of arraysOf(empty)) array.fill(0);
  return empty;
};

/** A direction of a given gradient, into a new array, a given one, or that of the gradient. */
function precondition(
  report: Report,
  random: Random,
  given: LayerCase,
  { subject, twin, old }: Pair,
): () => WatchedCall {
  const { inputs, outputGrads, batch, fisherRows } = rowsOf(random, given);
  const v = vectorOf(random, given);
  for (const each of [twin, subject]) each.record({ inputs, outputGrads, batch, fisherRows });
  const where = random.pick(['new', 'given', 'own'] as const);
  const direction = () => {
    const own = copy(v);
    return twin.preconditionSync(own, where === 'own' ? { out: own } : {});
  };
  const result = direction();
  if (!old) compareWithTruth(report, given, { inputs, outputGrads, batch, fisherRows }, v, result);
  return () => {
    const [own, out] = [copy(v), room(v)];
    const to = { new: {}, given: { out }, own: { out: own } }[where];
    return {
      name: where === 'own' ? 'precondition in place' : 'precondition',
      arrays: { ...named('v', own), ...(where === 'given' ? named('out', out) : {}) },
      written: Object.keys(where === 'own' ? named('v', own) : named('out', out)),
      start: (signal) => subject.precondition(own, { ...to, ...(signal && { signal }) }).then(({ x }) => arraysOf(x)),
      expected: arraysOf(result.x),
      again: () => arraysOf(direction().x),
    };
  };
}

const copied = (rows: CaseRows): CaseRows => ({
  ...rows,
  inputs: rows.inputs.slice(),
  outputGrads: rows.outputGrads.slice(),
  lossGrads: rows.lossGrads.slice(),
});

const rowArrays = ({ inputs, outputGrads, lossGrads }: CaseRows) => ({ inputs, outputGrads, lossGrads });

/** The natural gradient of rows, or an update of weights by it. */
function naturalGradient(_: Report, random: Random, given: LayerCase, { subject, twin }: Pair): () => WatchedCall {
  const rows = rowsOf(random, given);
  const weights = vectorOf(random, given);
  const updates = random.chance(0.5);
  const learningRate = 0.5;
  const direction = () => {
    const updated = copy(weights);
    const update = updates ? { applyTo: { weights: updated, learningRate } } : {};
    return arraysOf(twin.naturalGradientSync({ ...copied(rows), ...update }).x ?? updated);
  };
  const expected = direction();
  return () => {
    const [own, ownWeights] = [copied(rows), copy(weights)];
    const update = updates ? { applyTo: { weights: ownWeights, learningRate } } : {};
    return {
      name: updates ? 'naturalGradient that updates' : 'naturalGradient',
      arrays: { ...rowArrays(own), ...(updates ? named('weights', ownWeights) : {}) },
      written: updates ? Object.keys(named('weights', ownWeights)) : [],
      start: (signal) =>
        subject
          .naturalGradient({ ...own, ...update, ...(signal && { signal }) })
          .then(({ x }) => arraysOf(x ?? ownWeights)),
      expected,
      again: direction,
    };
  };
}

/** Directions of the layer and of another one in one call. */
function all(_: Report, random: Random, given: LayerCase, { subject, twin }: Pair): () => WatchedCall {
  const other = layerCase(random);
  const made = () => new LayerPreconditioner<boolean>(other.options);
  const second = { subject: made(), twin: made() };
  const systems = [
    { pair: { subject, twin }, rows: rowsOf(random, given), v: vectorOf(random, given) },
    { pair: second, rows: rowsOf(random, other), v: vectorOf(random, other) },
  ];
  const expected = systems.flatMap(({ pair, rows: { lossGrads: _rest, ...rows }, v }) => {
    for (const each of [pair.twin, pair.subject]) each.record(rows);
    return arraysOf(pair.twin.preconditionSync(copy(v)).x);
  });
  return () => {
    const vectors = systems.map(({ v }) => copy(v));
    return {
      name: 'preconditionAll',
      arrays: Object.assign({}, ...vectors.map((v, i) => named(`v${i}`, v))),
      written: [],
      start: async (signal) => {
        const list = systems.map(({ pair }, i) => ({ layer: pair.subject, v: vectors[i] ?? new Float32Array() }));
        const results = await preconditionAll(list, signal && { signal });
        return results.flatMap(({ x }) => arraysOf(x));
      },
      expected,
    };
  };
}

/** F v, or conjugate gradients, by objects of their own. */
function operator(_: Report, random: Random, given: LayerCase): () => WatchedCall {
  const { inFeatures, outFeatures, bias, damping } = given;
  const shape = { inFeatures, outFeatures, bias, damping, lossReduction: 'sum' } as const;
  const { lossGrads: _rest, ...rows } = rowsOf(random, given);
  const [v, x0] = [vectorOf(random, given), vectorOf(random, given)];
  const applies = random.chance(0.4);
  const space = random.pick(['gram', 'weight'] as const);
  const solver = () => new ConjugateGradient({ space, maxIterations: 12, tolerance: 1e-3 });
  const twin = new FisherOperator<boolean>({ ...shape, ...rows });
  const expected = applies ? twin.applySync(v) : solver().solveSync(twin, v, { x0 }).x;
  return () => {
    const own = { ...rows, inputs: rows.inputs.slice(), outputGrads: rows.outputGrads.slice() };
    const [ownV, start, out] = [copy(v), copy(x0), room(v)];
    const subject = new FisherOperator<boolean>({ ...shape, ...own });
    const { inputs, outputGrads } = own;
    return {
      name: applies ? 'apply' : 'solve',
      arrays: {
        inputs,
        outputGrads,
        ...named('v', ownV),
        ...named('out', out),
        ...(applies ? {} : named('x0', start)),
      },
      written: Object.keys(named('out', out)),
      start: (signal) => {
        const how = { out, ...(signal && { signal }) };
        return applies
          ? subject.apply(ownV, how).then(arraysOf)
          : solver()
              .solve(subject, ownV, { x0: start, ...how })
              .then(({ x }) => arraysOf(x));
      },
      expected: arraysOf(expected),
    };
  };
}

const entries = [precondition, precondition, naturalGradient, naturalGradient, all, operator] as const;

/**
 * Some calls of one layer, one after another; an aborted one is made again, and has to give what it would have given.
 * At the end the layer is disposed of or dropped.
 */
export async function layerCalls(report: Report, random: Random): Promise<void> {
  const given = layerCase(random);
  const [subject, twin] = [given, given].map(({ options }) => new LayerPreconditioner<boolean>(options));
  if (subject === undefined || twin === undefined) return;
  const averages = given.options.method === 'kfac' || (given.options.factorHistory ?? 'none') !== 'none';
  const calls = random.integer(1, 4);
  for (let made = 0; made < calls; made++) {
    const entry = random.pick(entries);
    const call = entry(report, random, given, { subject, twin, old: averages && made > 0 });
    const outcome = await watch(report, random, call());
    // of several layers some may have been done when it was aborted
    if (outcome === 'aborted' && entry !== all) await repeat(report, call());
    // its twin may be behind: the batch of an aborted call may have entered, x may have been there without room for it
    if (outcome !== 'right') break;
  }
  if (random.chance(0.3)) subject.dispose();
}
