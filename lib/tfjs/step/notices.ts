import type { PlainVariable } from '../capture/sites';
import { variablesOf } from '../kinds/layer-kind';
import type { FailedCheck } from './layer-checks';

/** Warns of the variables that take plain gradient steps, of each of them once. */
export class Notices {
  readonly #named = new Set<string>();

  /** Warns of layers that failed their check. */
  tellOfFailed(failed: readonly FailedCheck[]): void {
    for (const { layer, difference } of failed) {
      console.warn(
        `cgfac: the gradient of the captured rows differs from the framework's for ${difference}; ` +
          'plain gradient steps instead',
      );
      for (const { name } of variablesOf(layer)) this.#named.add(name);
    }
  }

  /** Warns of variables that are not preconditioned, and were not named before. */
  tellOfPlain(plain: readonly PlainVariable[], gradientLearningRate: number): void {
    const untold = plain.filter(({ variable }) => !this.#named.has(variable.name));
    if (untold.length === 0) return;
    for (const { variable } of untold) this.#named.add(variable.name);
    const names = untold.map(({ variable, reason }) => `${variable.name} (${reason})`).join(', ');
    console.warn(
      `cgfac: plain gradient steps, with learning rate ${gradientLearningRate}, ` +
        `for variables that are not preconditioned: ${names}`,
    );
  }
}
