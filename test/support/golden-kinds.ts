/** Golden cases of kinds of layers: float32 inputs and the float64 results of independent code, test/golden/kinds. */
import { Preconditioner, type PreconditionerOptions, type WeightVector } from 'cgfac';
import { type GoldenArray, GoldenFile } from './golden-case';

interface Manifest {
  readonly kind: string;
  readonly batch: number;
  readonly fisherBatch: number;
  readonly relativeDamping: number;
  readonly strides: readonly number[];
  readonly dilations?: readonly number[];
  readonly padding: 'same' | 'valid';
  readonly bias: boolean;
  readonly arrays: readonly GoldenArray[];
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

/** One golden case of a kind of layer. */
export class GoldenKind extends GoldenFile<Manifest> {
  constructor(name: string) {
    super(`kinds/${name}`);
  }

  /** The sharings that it has a direction of. */
  get sharings(): readonly Sharing[] {
    return ['embedding', 'scaleShift'].includes(this.manifest.kind) ? ['expand'] : ['expand', 'reduce'];
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
}

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
