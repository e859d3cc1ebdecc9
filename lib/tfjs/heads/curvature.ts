/**
 * The Gauss–Newton metric of a loss of any kind: noise at the tensors o that enter it, whose variance is the loss's own
 * diagonal second derivative there. Sent back to the layers, it makes G = Σ g_s g_sᵀ/rows the Gauss–Newton matrix.
 *
 *   h_k = ε_k ∘ ∂/∂o_k Σ_j ⟨g_j, ε_j⟩          ε = ±1, g_k = ∂Σ_b ℓ_b/∂o_k, h⁺ = max(0, h), h⁻ = max(0, −h)
 *   s_k = ε_k·√(h_k⁺ + m_k/10 + w_k κ_k)       m_k = mean h_k⁺, κ_k = Σ‖g_k‖²/(B·dim_k·2|L|)
 *   w_k = 1 where m_k ≤ κ_k/1000, else min(1, Σh_k⁻/Σh_k⁺)
 *
 * The product with ε is exact in expectation for the diagonal (C. Bekas, E. Kokiopoulou and Y. Saad, "An estimator
 * for the diagonal of a matrix", 2007) and at each draw where the loss sums over numbers. κ, of a loss that is
 * piecewise linear, is the curvature of the parabola through 0 that has the loss's value and slope; |L| is taken for
 * a quarter of the sizes of its terms at the least, where these have both signs. It goes with the curvature of a loss
 * that bends down, too, as those of overlaps do: a step cannot rely on what is left where both cancel. Source of the
 * metric: N. N. Schraudolph, "Fast curvature matrix-vector products for second-order gradient descent", 2002.
 */
import { add, mul, onesLike, type Scalar, sum, type Tensor, tensor } from '@tensorflow/tfjs-core';
import { CgfacError, type UniformNumbers } from '../../adapter-kit';
import { backward, dependents, inputsOf } from '../tape/graph';
import { secondTape, type TapeNode } from '../tape/tape';
import { lossSize } from './loss-size';
import type { LossPart } from './outputs';

/** Noise of ±1 for the first samples, zero for the others. */
function signs({ shape, size }: Tensor, share: number, uniform: UniformNumbers): Float32Array {
  const [samples = 1] = shape;
  const noise = new Float32Array(size);
  const count = (Math.ceil(share * samples) * size) / samples;
  for (let at = 0; at < count; at++) noise[at] = uniform() < 0.5 ? -1 : 1;
  return noise;
}

/** Numbers that can be differentiated by: what a comparison gives leads nowhere. */
function differentiable(tape: readonly TapeNode[], sources: readonly Tensor[]): Set<number> {
  const proper = tape.filter(({ outputs }) => outputs.every(({ dtype }) => dtype === 'float32'));
  return dependents(
    proper,
    sources.map(({ id }) => id),
  );
}

/**
 * The loss's part of the tape with the copies that its nodes saved for their gradients. What is copied comes first: on
 * the tape the copy of an output stands before the node that made it.
 */
function withCopies(tape: readonly TapeNode[], nodes: readonly TapeNode[], outputs: readonly Tensor[]): TapeNode[] {
  const copies = new Map<number, TapeNode[]>();
  for (const node of tape) {
    const [input] = node.kernel === 'Identity' ? inputsOf(node) : [];
    if (input) copies.set(input.id, [...(copies.get(input.id) ?? []), node]);
  }
  const copiesOf = ({ id }: Tensor) => (copies.get(id) ?? []).filter((node) => !part.has(node));
  const part = new Set(nodes);
  return [...outputs.flatMap(copiesOf), ...nodes.flatMap((node) => [node, ...node.outputs.flatMap(copiesOf)])];
}

/** The codes a pass over gradients ends with where an op has no second derivative, or one of another shape. */
const NO_SECOND_DERIVATIVE: ReadonlySet<string> = new Set(['ERR_CGFAC_TFJS_KERNEL', 'ERR_CGFAC_SHAPE_MISMATCH']);

/** ∂L/∂o_k for each output, Σ|t|, and H ε of the mean loss; this is missing where an op has no second derivative. */
function derivatives(tape: readonly TapeNode[], loss: Scalar, { outputs, nodes }: LossPart, noise: readonly Tensor[]) {
  const part = withCopies(tape, nodes, outputs);
  const within = differentiable(nodes, outputs);
  const gradientsOf = () => {
    const found = backward(nodes, [[loss.id, onesLike(loss)]], within);
    return { gradients: outputs.map(({ id }) => found.get(id)), size: lossSize(loss, nodes, found, within) };
  };
  try {
    return secondTape(
      () => {
        const { gradients, size } = gradientsOf();
        const terms = gradients.flatMap((gradient, k) => {
          const direction = noise[k];
          return gradient && direction ? [sum(mul(gradient, direction))] : [];
        });
        const [first, ...others] = terms;
        return { gradients, size, product: first && others.reduce((total, term) => add(total, term), first) };
      },
      (added, { gradients, size, product }) => {
        if (product === undefined) return { gradients, size, products: undefined };
        const whole = [...part, ...added];
        const found = backward(whole, [[product.id, onesLike(product)]], differentiable(whole, outputs));
        return { gradients, size, products: outputs.map(({ id }) => found.get(id)?.dataSync<'float32'>()) };
      },
    );
  } catch (error) {
    if (!(error instanceof CgfacError) || !NO_SECOND_DERIVATIVE.has(error.code)) throw error;
    return { ...gradientsOf(), products: undefined };
  }
}

const squares = (values: ArrayLike<number>) => {
  let total = 0;
  for (let at = 0; at < values.length; at++) total += (values[at] ?? 0) ** 2;
  return total;
};

/** Noise at one tensor that enters the loss. */
export interface CurvatureSeed {
  readonly output: Tensor;
  /** The noise, as gradients of single samples: as many numbers as the output has. */
  readonly seed: Float32Array;
  /**
   * What it is as strong as: h, and κ as far as h has both signs, or κ alone where h is next to nothing beside it or an
   * op has no second derivative.
   */
  readonly metric: 'curvature' | 'slope';
  /**
   * κ/(m + κ): how much κ outweighs the second derivative that is known, whatever part of κ goes with it; 1 where κ is
   * all that there is.
   */
  readonly assumed: number;
  /** Σ|t| over the terms of the loss. */
  readonly lossSize: number;
}

/** The share of the sizes of its terms that |L| is taken for at the least. */
const LEAST = 1 / 4;

/** ε·√(h⁺ + m/10 + wκ): with all of κ where the curvature is next to nothing beside it, else as h⁻ is to h⁺. */
function scaled(
  noise: Float32Array,
  product: Float32Array | undefined,
  samples: number,
  kappa: number,
): Pick<CurvatureSeed, 'metric' | 'assumed'> & { readonly values: Float32Array } {
  let up = 0;
  let down = 0;
  const h = noise.map((sign, at) => {
    const second = samples * sign * (product?.[at] ?? 0);
    if (!Number.isFinite(second)) return 0;
    if (second < 0) down -= second;
    else up += second;
    return Math.max(0, second);
  });
  const count = noise.reduce((total, sign) => total + sign * sign, 0);
  const mean = up / count;
  const flat = mean <= 1e-3 * kappa;
  const floor = mean / 10 + kappa * (flat ? 1 : Math.min(1, down / up));
  const values = noise.map((sign, at) => sign * Math.sqrt((h[at] ?? 0) + floor));
  return { values, metric: flat ? 'slope' : 'curvature', assumed: mean + kappa > 0 ? kappa / (mean + kappa) : 0 };
}

/**
 * Draws the noise at the tensors that enter a loss, as gradients of single samples. Call it with recording paused and
 * inside a `tidy`.
 *
 * @param share - Of the samples of the batch, those that get noise, rounded up.
 * @returns The noise at each of the tensors.
 */
export function curvatureSeeds(
  tape: readonly TapeNode[],
  loss: Scalar,
  part: LossPart,
  share: number,
  uniform: UniformNumbers,
): CurvatureSeed[] {
  const { outputs } = part;
  const noise = outputs.map((output) => signs(output, share, uniform));
  const asTensors = noise.map((values, k) => tensor(values, outputs[k]?.shape));
  const { gradients, size: terms, products } = derivatives(tape, loss, part, asTensors);
  const [value = Number.NaN] = loss.dataSync();
  const least = terms > 0 ? LEAST * terms : 0; // NaN where it is not known
  const height = 2 * Math.max(Math.abs(value), least, Number.MIN_VALUE);
  const slopes = gradients.map((gradient) => squares(gradient?.dataSync() ?? []));
  const total = slopes.reduce((sumOfAll, each) => sumOfAll + each, 0);
  return outputs.map((output, k) => {
    const { shape, size } = output;
    const [samples = 1] = shape;
    // without second derivatives one κ for all, that of all numbers together
    const kappa =
      products === undefined ? (samples * total) / height : (samples * samples * (slopes[k] ?? 0)) / (size * height);
    // a loss of 0 with a slope has no parabola: any scale will do, and the next step has a loss
    const scale = Number.isFinite(kappa) ? kappa : 1;
    const { values, ...found } = scaled(noise[k] ?? new Float32Array(), products?.[k], samples, scale);
    const assumed = Number.isFinite(kappa) ? found.assumed : 1;
    return { output, seed: values, ...found, assumed, lossSize: terms };
  });
}
