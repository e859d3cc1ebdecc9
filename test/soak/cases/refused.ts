/** Calls with bad arguments, after which everything is as it was. */
import { LayerPreconditioner, Preconditioner } from 'cgfac';
import { hostileValues } from '../../support/hostile';
import { arraysOf, randomNumbers } from '../../support/layers';
import type { Random } from '../random';
import type { Report } from '../tally';
import { sameBits, watchRefused } from '../watched';

const [inFeatures, outFeatures, batch] = [5, 4, 6];
const layer = { inFeatures, outFeatures, damping: 0.1, lossReduction: 'sum' } as const;
const names = 'INVALID_ARG_TYPE|INVALID_ARG_VALUE|SHAPE_MISMATCH|DETACHED_BUFFER|MISSING_OPTION|NOT_FINITE|NO_RECORD';
const codes = new RegExp(`^ERR_CGFAC_(${names})$`);

const rows = (seed: number) => ({
  inputs: randomNumbers(batch * inFeatures, seed),
  outputGrads: randomNumbers(batch * outFeatures, seed + 1),
  batch,
});
const vector = (seed: number) => randomNumbers(inFeatures * outFeatures, seed);

/** An array with one number that is none. */
const spoilt = (array: Float32Array, random: Random) => {
  array[random.integer(0, array.length - 1)] = random.pick([
    Number.NaN,
    Number.POSITIVE_INFINITY,
    Number.NEGATIVE_INFINITY,
  ]);
  return array;
};

/** What no argument is: a hostile value, an array of another length, or a detached one. */
function bad(random: Random, good: Float32Array): never {
  const value = random.pick<() => unknown>([
    random.pick(Object.values(hostileValues)),
    () => good.subarray(1),
    () => {
      const array = good.slice();
      structuredClone(array, { transfer: [array.buffer] });
      return array;
    },
  ])();
  return value as never; // what a caller without types could pass
}

/** A call of a layer with one bad argument. */
function layerCall(random: Random, subject: LayerPreconditioner): readonly [name: string, call: () => unknown] {
  const good = rows(random.seed());
  const v = vector(random.seed());
  const lossGrads = randomNumbers(batch * outFeatures, random.seed());
  return random.pick<readonly [string, () => unknown]>([
    ['record', () => subject.record({ ...good, inputs: bad(random, good.inputs) })],
    ['record', () => subject.record({ ...good, outputGrads: bad(random, good.outputGrads) })],
    ['precondition', () => subject.precondition(spoilt(v, random))],
    ['naturalGradient', () => subject.naturalGradient({ ...good, inputs: spoilt(good.inputs, random), lossGrads })],
    ['precondition', () => subject.precondition(bad(random, v))],
    ['preconditionSync', () => subject.preconditionSync(bad(random, v))],
    ['naturalGradient', () => subject.naturalGradient({ ...good, lossGrads: bad(random, lossGrads) })],
    [
      'naturalGradientSync',
      () => subject.naturalGradientSync({ ...good, lossGrads, inputs: bad(random, good.inputs) }),
    ],
  ]);
}

/** Refused calls of one layer, which then gives what it would have given. */
async function refusedByLayer(report: Report, random: Random): Promise<void> {
  const method = random.pick(['cg', 'exact', 'kfac'] as const);
  const [subject, twin] = [
    new LayerPreconditioner({ ...layer, method }),
    new LayerPreconditioner({ ...layer, method }),
  ];
  const [seed, v] = [random.seed(), vector(random.seed())];
  for (const each of [subject, twin]) each.record(rows(seed));
  for (let left = random.integer(1, 6); left > 0; left--) {
    const [name, call] = layerCall(random, subject);
    await watchRefused(report, `${name}, bad argument`, codes, call);
  }
  const expected = arraysOf(twin.preconditionSync(v).x);
  const same = sameBits(arraysOf((await subject.precondition(v)).x), expected);
  report.count('precondition', same ? 'right' : 'wrong', 'after a refused call');
}

/** Refused calls of a network, which then takes the step that it would have taken. */
async function refusedByNetwork(report: Report, random: Random): Promise<void> {
  const make = () => {
    const preconditioner = new Preconditioner({ lossReduction: 'sum', stepRule: 'fixed', factorUpdateSteps: 1 });
    preconditioner.registerDense('layer', { inFeatures, outFeatures, bias: false });
    return preconditioner;
  };
  const [subject, twin] = [make(), make()];
  const { inputs, outputGrads: lossGrads } = rows(random.seed());
  const gradient = vector(random.seed());
  const record = (of: Preconditioner) => of.record('layer', { inputs, lossGrads, batch });
  await watchRefused(report, 'record, bad argument', codes, () =>
    subject.record('layer', { inputs: bad(random, inputs.slice()), lossGrads, batch }),
  );
  record(subject);
  await watchRefused(report, 'step, bad argument', codes, () => subject.step({ layer: bad(random, gradient) }));
  subject.discard();
  for (const each of [subject, twin]) record(each);
  const [own, expected] = [gradient.slice(), gradient.slice()];
  twin.stepSync({ layer: expected });
  await subject.step({ layer: own });
  report.count('step', sameBits([own], [expected]) ? 'right' : 'wrong', 'after a refused call');
}

/** Calls with bad arguments. */
export async function refusedCalls(report: Report, random: Random): Promise<void> {
  await (random.chance(0.7) ? refusedByLayer : refusedByNetwork)(report, random);
}
