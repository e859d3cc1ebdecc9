/** L-BFGS for batches, the quasi-Newton row of the paper's table. */
import * as tf from '@tensorflow/tfjs-core';

/** How {@link Lbfgs} steps. */
export interface LbfgsOptions {
  /** The length of the first step that is tried, in units of the direction. */
  readonly rate: number;
  /** Pairs that are kept. Default: 10. */
  readonly memory?: number;
}

interface Pair {
  /** W after less W before. */
  readonly s: Float32Array;
  /** The gradients of one batch there. */
  readonly y: Float32Array;
  /** 1/⟨s, y⟩. */
  readonly rho: number;
}

/** Armijo's constant, and how often a step is halved at the most. */
const SUFFICIENT = 1e-4;
const HALVINGS = 10;
/** A pair counts where ⟨s, y⟩ is above so much of ‖y‖². */
const CURVED = 1e-8;

function dot(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] ?? 0) * (b[i] ?? 0);
  return sum;
}

/** out ← out + factor · x. */
function add(out: Float32Array, factor: number, x: Float32Array): void {
  for (let i = 0; i < out.length; i++) out[i] = (out[i] ?? 0) + factor * (x[i] ?? 0);
}

/**
 * The two-loop recursion: −H g of the pairs, the oldest first (Nocedal and Wright, "Numerical Optimization", 2006,
 * algorithm 7.4), from H₀ = ⟨s, y⟩/⟨y, y⟩ of the last pair, and 1/‖g‖ without any.
 */
export function direction(gradient: Float32Array, pairs: readonly Pair[]): Float32Array {
  const q = gradient.slice();
  const newestFirst = [...pairs].reverse();
  const alphas = newestFirst.map(({ s, y, rho }) => {
    const alpha = rho * dot(s, q);
    add(q, -alpha, y);
    return alpha;
  });
  const [last] = newestFirst;
  const scale = last ? 1 / (last.rho * dot(last.y, last.y)) : 1 / Math.max(Math.sqrt(dot(q, q)), 1e-12);
  for (let i = 0; i < q.length; i++) q[i] = -scale * (q[i] ?? 0);
  // signs are turned: q is −r, and so is what each pair adds
  pairs.forEach(({ s, y, rho }, place) => {
    const beta = -rho * dot(y, q);
    add(q, -((alphas[pairs.length - 1 - place] ?? 0) - beta), s);
  });
  return q;
}

/**
 * L-BFGS on batches: the pair (s, y) of a step has both gradients of the same batch (Schraudolph, Yu and Günter, "A
 * Stochastic Quasi-Newton Method for Online Convex Optimization", 2007), and a step is halved until the loss of its
 * batch falls (Armijo). It computes two gradients a step and a loss for each length that it tries. A direction that
 * does not lead down lets go of the pairs, as does a step of which no length will do, and that changes no weight.
 */
export class Lbfgs extends tf.Optimizer {
  /** The name that a saved model would know it by. */
  static readonly className = 'BenchLbfgs';

  /** Optimizers of this class alone: that of `tf.Optimizer`, which is inherited otherwise, takes any. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    return typeof value === 'object' && value !== null && #rate in value;
  }

  readonly #rate: number;
  readonly #memory: number;
  #pairs: Pair[] = [];

  constructor({ rate, memory = 10 }: LbfgsOptions) {
    super();
    this.#rate = rate;
    this.#memory = memory;
  }

  /** Bytes of the pairs. */
  get bytes(): number {
    return this.#pairs.reduce((sum, { s, y }) => sum + s.byteLength + y.byteLength, 0);
  }

  /** Takes a step on the batch that `f` is the loss of. */
  override minimize(f: () => tf.Scalar, returnCost = false, varList?: tf.Variable[]): tf.Scalar | null {
    const { loss, gradient, variables } = evaluated(f, varList);
    if (Number.isFinite(loss)) this.#step(f, loss, gradient, variables);
    this.incrementIterations();
    return returnCost ? tf.scalar(loss) : null;
  }

  #step(f: () => tf.Scalar, loss: number, gradient: Float32Array, variables: tf.Variable[]): void {
    let d = direction(gradient, this.#pairs);
    let slope = dot(gradient, d);
    if (!(slope < 0)) {
      this.#pairs = [];
      d = direction(gradient, []);
      slope = dot(gradient, d);
    }
    const before = flat(variables);
    const length = this.#length(f, { loss, slope, before, d, variables });
    if (length === 0) {
      this.#pairs = [];
      write(variables, before);
      return;
    }
    const after = evaluated(f, variables);
    const s = d.map((each) => length * each);
    const y = after.gradient;
    add(y, -1, gradient);
    const product = dot(s, y);
    if (product > CURVED * dot(y, y)) this.#pairs = [...this.#pairs, { s, y, rho: 1 / product }].slice(-this.#memory);
  }

  /** The first of the rate, its half and so on that lowers the loss enough, which the weights take; 0 for none. */
  #length(
    f: () => tf.Scalar,
    {
      loss,
      slope,
      before,
      d,
      variables,
    }: Readonly<Record<'loss' | 'slope', number>> &
      Readonly<Record<'before' | 'd', Float32Array>> & { readonly variables: tf.Variable[] },
  ): number {
    let length = this.#rate;
    for (let tried = 0; tried <= HALVINGS; tried++, length /= 2) {
      const next = before.slice();
      add(next, length, d);
      write(variables, next);
      const value = tf.tidy(() => f().dataSync()[0] ?? Number.NaN);
      if (value <= loss + SUFFICIENT * length * slope) return length;
    }
    return 0;
  }

  /** Never called: a step needs the loss itself. */
  override applyGradients(): void {
    throw new Error('Expected minimize() for L-BFGS, which computes losses, but received gradients');
  }

  /** What it was made with. */
  getConfig(): tf.serialization.ConfigDict {
    return { rate: this.#rate, memory: this.#memory };
  }
}

function evaluated(f: () => tf.Scalar, varList: tf.Variable[] | undefined) {
  const { value, grads } = tf.variableGrads(f, varList);
  const [loss = Number.NaN] = value.dataSync();
  const names = Object.keys(grads);
  const registered = tf.engine().registeredVariables;
  const variables = names.flatMap((name) => registered[name] ?? []);
  const gradient = flat(names.flatMap((name) => grads[name] ?? []));
  tf.dispose([value, grads]);
  return { loss, gradient, variables };
}

function flat(tensors: readonly tf.Tensor[]): Float32Array {
  const all = new Float32Array(tensors.reduce((sum, { size }) => sum + size, 0));
  let place = 0;
  for (const tensor of tensors) {
    all.set(tensor.dataSync(), place);
    place += tensor.size;
  }
  return all;
}

function write(variables: readonly tf.Variable[], numbers: Float32Array): void {
  let place = 0;
  for (const variable of variables) {
    const own = numbers.slice(place, place + variable.size);
    tf.tidy(() => variable.assign(tf.tensor(own, variable.shape)));
    place += variable.size;
  }
}
