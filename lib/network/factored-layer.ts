import { callNative, type NativeFactoredLayer, native } from '../native/addon';
import {
  type BatchRows,
  type FactorRows,
  type FisherRows,
  type NetworkLayerMemory,
  type NetworkLayerState,
  type NetworkShape,
  noRows,
  otherMethod,
} from './layer';
import type { ResolvedPreconditionerOptions } from './options';

/** A layer under factored damping, whose factors outlive a batch. */
export class FactoredNetworkLayer {
  readonly kind = 'factored';
  readonly native: NativeFactoredLayer;
  recorded = false;
  started = false;
  factorRows = noRows;
  /** As they were before the step under way. */
  #before: { readonly started: boolean; readonly factorRows: FactorRows } | undefined;

  constructor(
    readonly shape: NetworkShape,
    options: ResolvedPreconditionerOptions,
  ) {
    this.native = new native.FactoredLayer({
      ...shape,
      lossReduction: 'sum',
      history: options.factorHistory,
      decay: options.factorDecay,
      rank: options.rank,
      panelRows: options.panelRows,
      window: options.window as number, // the table of options gives one to every network of such layers
    });
  }

  record({ inputs, lossGrads, rows, samples, factor }: BatchRows): void {
    callNative(() => this.native.record(inputs, lossGrads, rows, samples, factor));
    this.recorded = true;
  }

  recordFisher({ outputGrads, rows, factor }: FisherRows): void {
    callNative(() => this.native.recordFisher(outputGrads, rows, factor));
  }

  requireFinite(): void {
    callNative(() => this.native.requireFinite());
  }

  /** A step begins: {@link FactoredNetworkLayer.rollBack} leads back to here. */
  begin(): void {
    this.#before = { started: this.started, factorRows: this.factorRows };
  }

  /** The factors have taken in what was recorded. */
  refreshed(rows: FactorRows): void {
    this.started = true;
    this.factorRows = rows;
  }

  /** The step is taken. */
  settle(): void {
    this.#before = undefined;
  }

  /** Takes back what the factors took in since {@link FactoredNetworkLayer.begin}: the step is not taken after all. */
  rollBack(): void {
    if (this.#before === undefined) return;
    callNative(() => this.native.rollBack());
    ({ started: this.started, factorRows: this.factorRows } = this.#before);
    this.#before = undefined;
  }

  clear(): void {
    callNative(() => this.native.clear());
    this.recorded = false;
  }

  reset(): void {
    callNative(() => this.native.reset());
    this.recorded = this.started = false;
    this.factorRows = noRows;
    this.#before = undefined;
  }

  state(): NetworkLayerState {
    return { started: this.started, rows: this.factorRows, factors: callNative(() => this.native.state()) };
  }

  restore({ started, rows, factors, solver }: NetworkLayerState): void {
    if (solver !== undefined || (started && factors === undefined)) throw otherMethod('factored damping');
    if (factors === undefined) this.reset();
    else callNative(() => this.native.restore(factors));
    this.recorded = false;
    this.started = started;
    this.factorRows = rows ?? noRows;
    this.#before = undefined;
  }

  memory(): NetworkLayerMemory {
    return callNative(() => this.native.memoryUsage());
  }
}
