import type { NamedTensorMap } from '@tensorflow/tfjs-core';
import type { Capture, CapturedLayer } from '../capture/capture';
import { discrepancyOf } from '../capture/self-check';
import { refusedOf } from '../capture/sites';
import { blockName, isGiven, type Layer, variablesOf } from '../kinds/layer-kind';
import { type LayerGradient, notFinite, readGradient } from './gradients';

/** Why a layer that failed its check is not preconditioned. */
const REFUSED = 'gradient differs from that of its rows';

function keyOf(layer: Layer): string {
  return `${layer.kernel.variable.id} ${blockName(layer)}`;
}

/** A layer with the output gradients of the normal backward pass. */
function withObserved(layer: CapturedLayer): CapturedLayer {
  return { ...layer, lossGrads: layer.observedGrads ?? layer.lossGrads };
}

/** A layer whose rows do not give the gradient that the framework computed. */
export interface FailedCheck {
  readonly layer: Layer;
  /** What differs and how much, as a part of a sentence. */
  readonly difference: string;
}

/** What {@link LayerChecks.check} makes of a capture. */
export interface CheckedCapture {
  /** The capture, in which the variables of layers that failed are alone. */
  readonly captured: Capture;
  readonly failed: readonly FailedCheck[];
}

/** The check of each layer at its first step: its rows must give the gradient that the framework computed. */
export class LayerChecks {
  /** What came of a check, by the id of the kernel and the name of the layer. */
  readonly #results = new Map<string, 'passed' | 'failed'>();
  #arraysAgree = true;

  /**
   * Whether passes in arrays have given what the normal backward pass did: not where a gradient function was replaced,
   * say.
   */
  get arraysAgree(): boolean {
    return this.#arraysAgree;
  }

  /** Whether a layer is still to be checked: not one whose gradient is the framework's own. */
  isDue(layer: Layer): boolean {
    return !isGiven(layer) && !this.#results.has(keyOf(layer));
  }

  /** Why a layer is not to be preconditioned; `undefined` of one that has not failed. */
  refused(layer: Layer): string | undefined {
    return this.#results.get(keyOf(layer)) === 'failed' ? REFUSED : undefined;
  }

  /**
   * Compares the layers that are still to be checked with the framework's gradients.
   *
   * @param agreed - What has failed in all, where others check the same layers.
   */
  check(
    captured: Capture,
    grads: NamedTensorMap,
    agreed: (failed: readonly FailedCheck[]) => readonly FailedCheck[] = (failed) => failed,
  ): CheckedCapture {
    const gradients = new Map(Object.entries(grads));
    const own: FailedCheck[] = [];
    for (const layer of captured.layers) {
      const gradient = this.isDue(layer) ? readGradient(layer, gradients) : undefined;
      // what is not finite can be compared with nothing: the step is skipped, and the layer checked at the next
      const comparable = gradient !== undefined && notFinite(layer, gradient) === undefined;
      const difference = comparable ? this.#differenceOf(layer, gradient) : undefined;
      if (comparable) this.#results.set(keyOf(layer), difference === undefined ? 'passed' : 'failed');
      if (difference !== undefined) own.push({ layer, difference });
    }
    const failed = agreed(own);
    for (const { layer } of failed) this.#results.set(keyOf(layer), 'failed');
    const reasons = refusedOf(captured.layers, (layer) => this.refused(layer));
    const layers = captured.layers
      .filter((layer) => !reasons.has(layer))
      .map((layer) => (this.#arraysAgree || !layer.observedGrads ? layer : withObserved(layer)));
    const refused = [...new Set([...reasons.keys()].flatMap(variablesOf))];
    const alone = refused.map((variable) => ({
      variable,
      reason: REFUSED,
      curved: true,
      recurrent: false,
      attended: false,
      judged: false,
      sampledSum: undefined,
    }));
    return { captured: { ...captured, layers, lone: [...captured.lone, ...alone] }, failed };
  }

  /** What the rows differ by: those of a pass in arrays, or, where they differ, of the normal backward pass. */
  #differenceOf(layer: CapturedLayer, gradient: LayerGradient): string | undefined {
    const difference = discrepancyOf(layer, gradient);
    if (difference === undefined || !layer.observedGrads) return difference;
    const observed = discrepancyOf(withObserved(layer), gradient);
    if (observed === undefined) this.#arraysAgree = false;
    return observed;
  }
}
