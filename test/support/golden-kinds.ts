/** Golden cases of kinds of layers: float32 inputs and the float64 results of independent code, test/golden/kinds. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Preconditioner, type PreconditionerOptions, type WeightVector } from 'cgfac';

interface Entry {
  readonly name: string;
  readonly dtype: 'float32' | 'float64' | 'int32';
  readonly shape: readonly number[];
  readonly offset: number;
}

interface Manifest {
  readonly kind: string;
  readonly batch: number;
  readonly fisherBatch: number;
  readonly relativeDamping: number;
  readonly strides: readonly number[];
  readonly dilations?: readonly number[];
  readonly padding: 'same' | 'valid';
  readonly bias: boolean;
  readonly arrays: readonly Entry[];
}

/** How positions share weights. */
export type Sharing = 'expand' | 'reduce';

/** The names of the cases that are one layer each. */
export const kindCases = [
  'conv2d-valid',
  'conv2d-same-stride',
  'conv2d-dilated',
  'conv2d-pointwise',
  'conv1d',
  'conv2d-wide',
  'depthwise',
  'depthwise-multiplier',
  'conv2d-transpose',
  'conv2d-transpose-valid',
  'embedding',
  'scale-shift',
  'scale-shift-dense',
] as const;

/** One case. */
export class GoldenKind {
  readonly manifest: Manifest;
  readonly #bytes: Buffer;

  constructor(readonly name: string) {
    const path = join(__dirname, '../golden/kinds', name);
    this.manifest = JSON.parse(readFileSync(`${path}.json`, 'utf8')) as Manifest;
    this.#bytes = readFileSync(`${path}.bin`);
  }

  /** The sharings that it has a direction of. */
  get sharings(): readonly Sharing[] {
    return ['embedding', 'scaleShift'].includes(this.manifest.kind) ? ['expand'] : ['expand', 'reduce'];
  }

  shape(name: string): readonly number[] {
    return this.#entry(name).shape;
  }

  has(name: string): boolean {
    return this.manifest.arrays.some((entry) => entry.name === name);
  }

  float32(name: string): Float32Array {
    const { offset, shape } = this.#entry(name);
    return Float32Array.from({ length: sizeOf(shape) }, (_, i) => this.#bytes.readFloatLE(offset + 4 * i));
  }

  int32(name: string): Int32Array {
    const { offset, shape } = this.#entry(name);
    return Int32Array.from({ length: sizeOf(shape) }, (_, i) => this.#bytes.readInt32LE(offset + 4 * i));
  }

  float64(name: string): Float64Array {
    const { offset, shape } = this.#entry(name);
    return Float64Array.from({ length: sizeOf(shape) }, (_, i) => this.#bytes.readDoubleLE(offset + 8 * i));
  }

  /** Takes the case's layer under care by the name 'layer'. */
  register(preconditioner: Preconditioner, weightSharing: Sharing): void {
    const { kind, strides, dilations = [1, 1], padding, bias } = this.manifest;
    if (kind === 'embedding') {
      const [inputDim = 0, outputDim = 0] = this.shape('tableGrad');
      preconditioner.registerEmbedding('layer', { inputDim, outputDim });
      return;
    }
    if (kind === 'scaleShift') {
      preconditioner.registerScaleShift('layer', { features: this.shape('scaleGrad')[0] ?? 0 });
      return;
    }
    const [height = 0, width = 0, first = 0, second = 0] = this.shape('kernelGrad');
    const inputShape = this.shape('inputs').slice(1);
    const window = { inputShape, kernelSize: [height, width], strides, padding, weightSharing };
    if (kind === 'conv2d') preconditioner.registerConv2d('layer', { ...window, dilations, filters: second, bias });
    else if (kind === 'conv2dTranspose') preconditioner.registerConv2dTranspose('layer', { ...window, filters: first });
    else preconditioner.registerDepthwiseConv2d('layer', { ...window, dilations, depthMultiplier: second, bias });
  }

  /** What went in. */
  get inputs(): Float32Array | Int32Array {
    const { kind } = this.manifest;
    return kind === 'embedding' ? this.int32('ids') : this.float32(kind === 'scaleShift' ? 'normalised' : 'inputs');
  }

  /** The gradient v and the direction, float64 arrays, kernel before bias. */
  expected(sharing: Sharing): {
    readonly gradient: readonly Float64Array[];
    readonly direction: readonly Float64Array[];
  } {
    const named = (names: readonly string[]) =>
      names.filter((name) => this.has(name)).map((name) => this.float64(name));
    const { kind } = this.manifest;
    if (kind === 'embedding') return { gradient: named(['tableGrad']), direction: named(['expand_table']) };
    if (kind === 'scaleShift')
      return { gradient: named(['scaleGrad', 'shiftGrad']), direction: named(['scale', 'shift']) };
    return {
      gradient: named(['kernelGrad', 'biasGrad']),
      direction: named([`${sharing}_kernel`, `${sharing}_bias`]),
    };
  }

  /** A preconditioner of the layer alone that has recorded the case's rows; its step is the direction itself. */
  recorded(sharing: Sharing, options: Partial<PreconditionerOptions> = {}, lossGrads = true): Preconditioner {
    const { relativeDamping, batch, fisherBatch } = this.manifest;
    const preconditioner = new Preconditioner({
      lossReduction: 'sum',
      stepRule: 'fixed',
      momentum: 0,
      useEma: false,
      factorHistory: 'none',
      damping: { relative: relativeDamping },
      ...options,
    } as PreconditionerOptions);
    this.register(preconditioner, sharing);
    const own = lossGrads ? { lossGrads: this.float32('lossGrads') } : {};
    preconditioner.record('layer', { inputs: this.inputs, ...own, batch });
    preconditioner.recordFisher('layer', { outputGrads: this.float32('fisherGrads'), batch: fisherBatch });
    return preconditioner;
  }

  #entry(name: string): Entry {
    const found = this.manifest.arrays.find((entry) => entry.name === name);
    if (found === undefined) throw new Error(`no array ${name} in ${this.name}`);
    return found;
  }
}

/** Numbers of an array. */
const sizeOf = (shape: readonly number[]) => shape.reduce((product, extent) => product * extent, 1);

/** A vector of the public face of one or two float64 arrays, rounded. */
export function vectorOf([kernel = new Float64Array(), bias]: readonly Float64Array[]): WeightVector {
  return bias === undefined
    ? Float32Array.from(kernel)
    : { kernel: Float32Array.from(kernel), bias: Float32Array.from(bias) };
}

/** The numbers of a vector, kernel before bias. */
export function numbersOf(vector: WeightVector): Float32Array {
  if (vector instanceof Float32Array) return vector;
  return Float32Array.from([...vector.kernel, ...vector.bias]);
}
