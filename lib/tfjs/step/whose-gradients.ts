/** Whether the gradients that a step is given are those that it computed, or a multiple of them. */
import type { Tensor } from '@tensorflow/tfjs-core';
import type { ResolvedPreconditionerOptions } from '../../adapter-kit';
import type { Step } from './step';

type Gradients = ReadonlyMap<string, Tensor>;

/** 1 − cos² between a gradient and a multiple of it, which float32 rounds: some 1e-14. */
const ROUNDING = 1e-10;

/** The gradients, in pairs; `undefined` where they are of other variables, or the computed ones are gone. */
function pairsOf(computed: Gradients, given: Gradients): (readonly [Tensor, Tensor])[] | undefined {
  if (computed.size !== given.size) return undefined;
  const pairs: (readonly [Tensor, Tensor])[] = [];
  for (const [name, gradient] of computed) {
    const other = given.get(name);
    if (!other || gradient.isDisposed || other.size !== gradient.size) return undefined;
    pairs.push([gradient, other]);
  }
  return pairs;
}

/** Whether the given gradients are the computed ones as they are. */
function areOwn(computed: Gradients, given: Gradients): boolean {
  return pairsOf(computed, given)?.every(([gradient, other]) => gradient.dataId === other.dataId) === true;
}

/**
 * Whether the given gradients are the computed ones, all of them times one positive number: clipped by the norm of all,
 * say, or scaled.
 */
function areMultiple(computed: Gradients, given: Gradients): boolean {
  const pairs = pairsOf(computed, given);
  if (pairs === undefined) return false;
  let [gg, hh, gh] = [0, 0, 0];
  for (const [gradient, other] of pairs) {
    const [g, h] = [gradient.dataSync<'float32'>(), other.dataSync<'float32'>()];
    for (let at = 0; at < g.length; at++) {
      const [a = 0, b = 0] = [g[at], h[at]];
      gg += a * a;
      hh += b * b;
      gh += a * b;
    }
  }
  return gh > 0 && gg * hh - gh * gh <= ROUNDING * gg * hh;
}

/**
 * Whether gradients are those that the step computed, and which ones to take: its own also where these are all of them
 * times one number, and the step finds its length from the loss. Σ⟨v, x⟩ is what that falls by only with its own v.
 */
export function whose(
  { own, computed }: Pick<Step, 'own' | 'computed'>,
  given: Gradients,
  stepRule: ResolvedPreconditionerOptions['stepRule'] = 'auto',
): { readonly isOwn: boolean; readonly gradients: Gradients } {
  if (own || areOwn(computed, given)) return { isOwn: true, gradients: given };
  const isOwn = stepRule !== 'fixed' && stepRule !== 'kl-clip' && areMultiple(computed, given);
  return { isOwn, gradients: isOwn ? computed : given };
}
