/**
 * One coefficient for each layer, from the quadratic model of the loss along the layers' directions that sampled
 * outputs give: L(W − Σ e_l X_l) ≈ L − rᵀe + ½ eᵀQ e with r_l = ⟨v_l, x_l⟩ and Q_lk = mean_b u_l,b u_k,b, where
 * u_l,b = g_bᵀ X_l a_b is what a layer's direction does to the sampled outputs of a sample.
 *
 * Source: the exact quadratic model of J. Martens and R. Grosse, "Optimizing Neural Networks with Kronecker-factored
 * Approximate Curvature", 2015, §6.4, with a coefficient for each layer in the place of one, and sampled gradients in
 * the place of the Gauss–Newton products.
 */

/** What a layer's direction is known by. */
export interface DirectionProducts {
  /** ⟨v, x⟩. */
  readonly innerProduct: number;
  /** What u is of each sample, 0 of those without one; `undefined` where it is not known. */
  readonly sampled: Float64Array | undefined;
  /** Samples that have one. */
  readonly samples: number;
}

/** Of Q, relative to r: what keeps a layer that the samples do not see from growing without bound. */
const RIDGE = 0.1;
const SWEEPS = 200;
const TOLERANCE = 1e-6;

/** Q + ridge·diag r, row by row. A layer whose products are not known has the curvature of its damped direction, r. */
export function quadraticModel(layers: readonly DirectionProducts[], ridge = RIDGE): Float64Array[] {
  return layers.map(({ innerProduct, sampled, samples }, l) =>
    Float64Array.from(layers, (other, k) => {
      if (sampled === undefined || other.sampled === undefined)
        return l === k ? (1 + ridge) * Math.max(innerProduct, 0) : 0;
      if (sampled.length !== other.sampled.length) return 0; // of other samples: nothing is known of the two together
      let sum = 0;
      for (let b = 0; b < sampled.length; b++) sum += (sampled[b] ?? 0) * (other.sampled[b] ?? 0);
      return sum / Math.max(1, Math.min(samples, other.samples)) + (l === k ? ridge * Math.max(innerProduct, 0) : 0);
    }),
  );
}

/** The model's −rᵀe + ½ eᵀQ e. */
export function modelAt(model: readonly Float64Array[], r: readonly number[], e: readonly number[]): number {
  let value = 0;
  model.forEach((row, l) => {
    const product = row.reduce((sum, each, k) => sum + each * (e[k] ?? 0), 0);
    value += (e[l] ?? 0) * (product / 2 - (r[l] ?? 0));
  });
  return value;
}

/**
 * The e of least −rᵀe + ½ eᵀQ e with 0 ≤ e ≤ 1, by coordinate descent. Layers whose products are not known take no part
 * in it where others do: they have the mean coefficient of all, Σe r/Σr, each of their own taken for that of a damped
 * direction alone.
 *
 * @param most - What e may be at most, where that is less than 1: a layer whose change is bounded leaves the rest to
 * others.
 */
export function layerCoefficients(layers: readonly DirectionProducts[], most: readonly number[] = []): number[] {
  const known = layers.flatMap(({ sampled }, l) => (sampled === undefined ? [] : [l]));
  if (known.length === 0 || known.length === layers.length) return leastOf(layers, most);
  const found = leastOf(
    known.map((l) => layers[l] as DirectionProducts),
    known.map((l) => most[l] ?? 1),
  );
  const alone = 1 / (1 + RIDGE);
  const e = layers.map((_, l) => (known.includes(l) ? (found[known.indexOf(l)] ?? 0) : alone));
  const sum = layers.reduce((total, { innerProduct }) => total + innerProduct, 0);
  const common = layers.reduce((total, { innerProduct }, l) => total + (innerProduct * (e[l] ?? 0)) / sum, 0);
  return e.map((own, l) => (known.includes(l) ? own : Math.min(common, most[l] ?? 1)));
}

/** How much longer a step is to be by the samples than by the factors before that is believed. */
const BELIEVED = 10;
/** The share of Σr that Σer is of a step that is as long as the factors say: where e is held back, it is not short. */
const WHOLE = 0.9;
/** No step is lengthened by more: so much is left of float32 where uses of a layer cancel, and η stays a number. */
const LONGEST = 2 ** 30;

/**
 * What a step is lengthened by where its layers' directions do next to nothing to the outputs of samples: s =
 * rᵀe/(eᵀQe), the length of least −s·rᵀe + ½ s² eᵀQe, where that is more than 10 and nothing holds e back from 1; else
 * 1. The factors add up the uses of a layer, and know nothing of uses that cancel: of f(a) − f(b) where a is near b, of
 * finite differences. There steps of e ≤ 1 would be too short by orders of magnitude.
 */
export function lengthening(layers: readonly DirectionProducts[], e: readonly number[]): number {
  const whole = layers.reduce((sum, { innerProduct }) => sum + innerProduct, 0);
  const slope = layers.reduce((sum, { innerProduct }, l) => sum + innerProduct * (e[l] ?? 0), 0);
  if (slope < WHOLE * whole) return 1;
  const curvature = 2 * modelAt(quadraticModel(layers, 0), [], e);
  return curvature > 0 && slope > BELIEVED * curvature ? Math.min(LONGEST, slope / curvature) : 1;
}

function leastOf(layers: readonly DirectionProducts[], most: readonly number[]): number[] {
  const model = quadraticModel(layers);
  const e = new Array<number>(layers.length).fill(0);
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    let moved = 0;
    layers.forEach(({ innerProduct }, l) => {
      const row = model[l] ?? new Float64Array();
      const own = row[l] ?? 0;
      const others = row.reduce((sum, each, k) => (k === l ? sum : sum + each * (e[k] ?? 0)), 0);
      const best = own > 0 ? Math.min(1, most[l] ?? 1, Math.max(0, (innerProduct - others) / own)) : 0;
      moved = Math.max(moved, Math.abs(best - (e[l] ?? 0)));
      e[l] = best;
    });
    if (moved <= TOLERANCE) break;
  }
  return e;
}
