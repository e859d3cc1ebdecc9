import { CgfacError } from '../base/errors';
import { concatenated, newVector } from '../base/vectors';
import type { Damping, VectorArrays } from '../base/weight-vector';
import { LayerPreconditioner, partsOfLayer } from '../layer/layer-preconditioner';
import { callNative, type NativeLayerPreconditioner, native, spectraPlaces } from '../native/addon';
import {
  type BatchRows,
  type FactorRows,
  type FisherRows,
  type NetworkLayerMemory,
  type NetworkLayerState,
  type NetworkShape,
  noRows,
  otherMethod,
  type PreparedStep,
} from './layer';
import type { ResolvedPreconditionerOptions } from './options';

/** What is known of the factors and of the solve besides a solution. */
export type SolvedSpectra = Required<Pick<PreparedStep, 'lambdaMax' | 'stableRank' | 'microseconds'>> &
  Pick<PreparedStep, 'effectiveRank'>;

const LARGEST_FLOAT32 = 3.4028234663852886e38;

function bytesOf(arrays: readonly Float32Array[]): number {
  return arrays.reduce((sum, { byteLength }) => sum + byteLength, 0);
}

/** Refuses NaN, infinity, and squares beyond float32. */
function requireFinite(name: string, arrays: readonly Float32Array[]): void {
  let sum = 0;
  for (const array of arrays) for (let at = 0; at < array.length; at++) sum += (array[at] ?? 0) ** 2;
  if (sum <= LARGEST_FLOAT32) return;
  const bad = arrays.flatMap((array) => array.find((value) => !Number.isFinite(value)) ?? []);
  const [received = 'an overflow'] = bad;
  throw new CgfacError(
    'ERR_CGFAC_NOT_FINITE',
    `Expected finite numbers, with squares within the range of float32, for ${name} but received ${received}`,
  );
}

function multiplied(values: Float32Array, factor: number): Float32Array {
  return factor === 1 ? values.slice() : values.map((value) => value * factor);
}

/** A layer that {@link LayerPreconditioner} solves for: 'cg', 'kfac', 'auto', and 'exact' with Tikhonov damping. */
export class SolvedNetworkLayer {
  readonly kind = 'solved';
  readonly method: ResolvedPreconditionerOptions['method'];
  readonly solver: LayerPreconditioner<boolean>;
  readonly direction: VectorArrays;
  started = false;
  factorRows: FactorRows = noRows;
  #damping: string;
  readonly #inputs: Float32Array[] = [];
  readonly #lossGrads: Float32Array[] = [];
  readonly #fisher: Float32Array[] = [];
  readonly #native: NativeLayerPreconditioner;
  /** Whether a batch with fewer rows than the one before is filled up: not where averages make up for it. */
  readonly #fillsUp: boolean;
  /** As they were before the step under way. */
  #before: { readonly started: boolean; readonly factorRows: FactorRows } | undefined;
  #rows = 0;
  #samples = 0;
  #fisherRows = 0;

  constructor(
    readonly shape: NetworkShape,
    options: ResolvedPreconditionerOptions,
    damping: Damping,
  ) {
    const { method, dampingMode, cg, warmStart, inverseUpdateSteps, factorDecay } = options;
    this.#damping = JSON.stringify(damping);
    this.solver = new LayerPreconditioner<boolean>({
      ...shape,
      damping,
      lossReduction: 'sum',
      method,
      dampingMode,
      ...(method === 'cg' || method === 'auto' ? { ...cg, warmStart } : {}),
      ...(method === 'kfac' ? { inverseUpdateSteps, factorDecay } : {}),
    });
    const parts = partsOfLayer(this.solver);
    if (parts === undefined) throw new CgfacError('ERR_CGFAC_INTERNAL', 'a layer without its native half');
    this.#native = parts.native;
    this.direction = newVector(shape);
    this.method = method;
    this.#fillsUp = method !== 'kfac';
  }

  get recorded(): boolean {
    return this.#rows > 0;
  }

  record({ inputs, lossGrads, rows, samples, factor }: BatchRows): void {
    this.#inputs.push(inputs.slice());
    this.#lossGrads.push(multiplied(lossGrads, factor));
    this.#rows += rows;
    this.#samples += samples;
  }

  recordFisher({ outputGrads, rows, factor }: FisherRows): void {
    this.#fisher.push(multiplied(outputGrads, factor));
    this.#fisherRows += rows;
  }

  requireFinite(): void {
    requireFinite('inputs', this.#inputs);
    requireFinite('lossGrads', this.#lossGrads);
    requireFinite('outputGrads', this.#fisher);
  }

  /** A step begins: {@link SolvedNetworkLayer.rollBack} leads back to here. */
  begin(): void {
    callNative(() => this.#native.settle());
    this.#before = { started: this.started, factorRows: this.factorRows };
  }

  /** The step is taken. */
  settle(): void {
    callNative(() => this.#native.settle());
    this.#before = undefined;
  }

  /**
   * The rows recorded since {@link SolvedNetworkLayer.begin} are not the factors any more, unless averages have taken
   * them in, and the next solve starts from zero: the step is not taken after all.
   */
  rollBack(): void {
    if (this.#before === undefined) return;
    callNative(() => {
      this.#native.rollBack();
      this.#native.forgetPrevious();
    });
    if (this.method !== 'kfac') ({ started: this.started, factorRows: this.factorRows } = this.#before);
    this.#before = undefined;
  }

  /** Hands the recorded rows to the solver. */
  refresh(): void {
    const { inFeatures } = this.shape;
    const inputs = concatenated(this.#inputs);
    const grads = concatenated(this.#fisherRows > 0 ? this.#fisher : this.#lossGrads);
    // A sums over a sample's rows where the solver averages over all: G makes up for it.
    const outputGrads = multiplied(grads, Math.sqrt(this.#rows / this.#samples));
    const output = this.#fisherRows > 0 ? this.#fisherRows : this.#rows;
    callNative(() => this.#native.record(inputs, outputGrads, inputs.length / inFeatures, output, this.#fillsUp));
    this.factorRows = callNative(() => this.#native.recordedRows());
    this.started = true;
  }

  /** v ← the batch's own gradient, lossGradsᵀ·inputs/samples. */
  formGradient({ kernel, bias }: VectorArrays): void {
    callNative(() =>
      native.formGradient(
        { ...this.shape, lossReduction: 'sum' },
        concatenated(this.#inputs),
        concatenated(this.#lossGrads),
        this.#rows,
        kernel,
        bias,
        1 / this.#samples,
      ),
    );
  }

  /** Whether there is anything to precondition with: not where a factor is zero, and damping relative to it too. */
  get curved(): boolean {
    return callNative(() => this.#native.hasDamping());
  }

  /** Of both factors, after a solve. */
  spectra(): SolvedSpectra {
    const report = new Float64Array(spectraPlaces.length);
    callNative(() => this.#native.factorSpectra(report));
    const value = (place: (typeof spectraPlaces)[number]) => report[spectraPlaces.indexOf(place)] ?? Number.NaN;
    const [input, output, both] = [value('inputEffectiveRank'), value('outputEffectiveRank'), value('effectiveRank')];
    const effectiveRank = Number.isNaN(both) ? { input, output } : both;
    return {
      lambdaMax: value('inputLargest') * value('outputLargest'),
      stableRank: {
        input: value('inputTrace') / value('inputLargest'),
        output: value('outputTrace') / value('outputLargest'),
      },
      microseconds: value('microseconds'),
      ...(Number.isNaN(both) && Number.isNaN(input) ? {} : { effectiveRank }),
    };
  }

  /** The next solve starts from zero. */
  forgetPrevious(): void {
    callNative(() => this.#native.forgetPrevious());
  }

  setDamping(damping: Damping): void {
    const text = JSON.stringify(damping);
    if (text === this.#damping) return;
    this.solver.setDamping(damping);
    this.#damping = text;
  }

  clear(): void {
    this.#inputs.length = this.#lossGrads.length = this.#fisher.length = 0;
    this.#rows = this.#samples = this.#fisherRows = 0;
  }

  reset(): void {
    this.clear();
    this.solver.reset();
    this.#before = undefined;
    this.started = false;
    this.factorRows = noRows;
  }

  state(): NetworkLayerState {
    return { started: this.started, rows: this.factorRows, solver: callNative(() => this.#native.state()) };
  }

  /** A layer whose state lacks the solver's takes in the next step's rows. */
  restore({ started, rows, factors, solver }: NetworkLayerState): void {
    if (factors !== undefined) throw otherMethod('a method that solves');
    if (solver === undefined) this.reset();
    else callNative(() => this.#native.restore(solver));
    this.clear();
    this.started = started && solver !== undefined;
    this.factorRows = rows ?? noRows;
  }

  memory(): NetworkLayerMemory {
    const { batch, workspace, previous, factors } = this.solver.memoryUsage();
    const { kernel, bias } = this.direction;
    const own = bytesOf([...this.#inputs, ...this.#lossGrads, ...this.#fisher]);
    return {
      recorded: own + batch,
      factors: factors + previous,
      workspace: workspace + kernel.byteLength + (bias?.byteLength ?? 0),
    };
  }
}
