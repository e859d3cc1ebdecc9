/** Steps of networks with every kind of layer. */
import { Preconditioner, type PreconditionerOptions, type WeightVector } from 'cgfac';
import { type KindLayer, kindLayers, kindRows, kindVector, recordKind } from '../../support/kind-layers';
import { arraysOf, randomNumbers } from '../../support/layers';
import { methods, record, rowsOf, layers as testLayers, vectors } from '../../support/networks';
import type { Random } from '../random';
import type { Report } from '../tally';
import { repeat, type WatchedCall, watch } from '../watched';

type Vectors = Record<string, WeightVector>;

/** A network, as far as steps of it are concerned. */
interface Network {
  register(preconditioner: Preconditioner, weights: Vectors | undefined): void;
  record(preconditioner: Preconditioner, seed: number): void;
  vectors(seed: number): Vectors;
}

const weightsOf = (weights: Vectors | undefined, name: string) => {
  const own = weights?.[name];
  return own === undefined ? {} : { weights: own };
};

/** Three dense layers. */
const dense: Network = {
  register: (preconditioner, weights) => {
    for (const { name, ...shape } of testLayers)
      preconditioner.registerDense(name, { ...shape, ...weightsOf(weights, name) });
  },
  record: (preconditioner, seed) => record(preconditioner, rowsOf(seed)),
  vectors: (seed) => vectors((length, index) => randomNumbers(length, seed + index)),
};

/** Weights of which nothing is known. */
const features = 30;
const diagonal: Network = {
  register: (preconditioner, weights) => {
    preconditioner.registerDiagonal('layer', { features, ...weightsOf(weights, 'layer') });
  },
  record: (preconditioner, seed) => {
    const batch = 6;
    preconditioner.record('layer', { lossGrads: randomNumbers(batch * features, seed), batch });
    preconditioner.recordFisher('layer', { outputGrads: randomNumbers(batch * features, seed + 1), batch });
  },
  vectors: (seed) => ({ layer: randomNumbers(features, seed) }),
};

const ofKind = (layer: KindLayer): Network => ({
  register: (preconditioner, weights) => layer.register(preconditioner, weightsOf(weights, 'layer')),
  record: (preconditioner, seed) => recordKind(preconditioner, kindRows(layer, seed)),
  vectors: (seed) => ({ layer: kindVector(layer, seed) }),
});

const networks: readonly Network[] = [dense, dense, diagonal, ...kindLayers.map(ofKind)];

const copy = (of: Vectors): Vectors =>
  Object.fromEntries(
    Object.entries(of).map(([name, vector]) => [
      name,
      vector instanceof Float32Array ? vector.slice() : { kernel: vector.kernel.slice(), bias: vector.bias.slice() },
    ]),
  );
const all = (of: Vectors | undefined): Float32Array[] => Object.values(of ?? {}).flatMap(arraysOf);
const named = (name: string, of: Vectors | undefined) =>
  Object.fromEntries(all(of).map((array, i) => [`${name}${i}`, array]));

/** Options that a step of any kind of layer can be taken with. */
function optionsOf(random: Random): PreconditionerOptions {
  return {
    lossReduction: 'sum',
    ...random.pick(Object.values(methods)),
    ...random.pick([{}, { preset: 'adaptive' as const }]),
    factorUpdateSteps: 1,
    stepRule: random.pick(['fixed', 'polyak'] as const),
    momentum: random.pick([0, 0.5]),
    damping: { relative: random.pick([0.1, 1]) },
  };
}

/** A preconditioner, and the weights that it has registered. */
interface Subject {
  preconditioner: Preconditioner;
  readonly weights: Vectors | undefined;
}

/** The steps of one network, and what a twin of it gives. */
class Steps {
  readonly #network: Network;
  readonly #make: () => Preconditioner;
  readonly subject: Subject;
  readonly twin: Subject;

  constructor(random: Random) {
    this.#network = random.pick(networks);
    const options = optionsOf(random);
    this.#make = () => new Preconditioner(options);
    const weights = random.chance(0.6) ? this.#network.vectors(random.seed()) : undefined;
    [this.subject, this.twin] = [this.#begun(weights), this.#begun(weights)];
  }

  #begun(weights: Vectors | undefined): Subject {
    const own = weights && copy(weights);
    const preconditioner = this.#make();
    this.#network.register(preconditioner, own);
    return { preconditioner, weights: own };
  }

  /** Goes on with another object that has the state of this one. */
  moveOn(): void {
    const other = this.#make();
    this.#network.register(other, this.subject.weights);
    const state = structuredClone(this.subject.preconditioner.stateDict());
    other.loadStateDict(state);
    this.subject.preconditioner = other;
  }

  /** A step that rewrites gradients, or updates weights, and that of the twin. */
  next(random: Random): () => WatchedCall {
    const [seed, loss] = [random.integer(1, 10_000), 0.1 + random.next()];
    const rewrites = this.subject.weights === undefined || random.chance(0.5);
    const gradients = this.#network.vectors(random.seed());
    const expected = copy(gradients);
    const { subject, twin } = this;
    this.#network.record(twin.preconditioner, seed);
    if (rewrites) twin.preconditioner.stepSync(expected, { loss });
    else twin.preconditioner.naturalGradientsSync({ loss, gradients: expected });
    const result = all(rewrites ? expected : twin.weights).map((array) => array.slice());
    return () => {
      const own = copy(gradients);
      const { preconditioner, weights } = subject;
      this.#network.record(preconditioner, seed);
      const [gradientNames, weightNames] = [named('gradient', own), rewrites ? {} : named('weights', weights)];
      return {
        name: rewrites ? 'step' : 'naturalGradients',
        arrays: { ...gradientNames, ...weightNames },
        written: Object.keys(rewrites ? gradientNames : weightNames),
        start: async (signal) => {
          const how = { loss, ...(signal && { signal }) };
          if (rewrites) await preconditioner.step(own, how);
          else await preconditioner.naturalGradients({ ...how, gradients: own });
          return all(rewrites ? own : weights);
        },
        expected: result,
      };
    };
  }
}

/** Some steps of one network; now and then another object goes on with its state. */
export async function networkSteps(report: Report, random: Random): Promise<void> {
  const steps = new Steps(random);
  for (let left = random.integer(2, 5); left > 0; left--) {
    const call = steps.next(random);
    let outcome = await watch(report, random, call());
    if (outcome === 'aborted') outcome = await repeat(report, call());
    if (outcome !== 'right') return;
    if (random.chance(0.2)) steps.moveOn();
  }
}
