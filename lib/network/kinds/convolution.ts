/** Convolutions of a {@link Preconditioner}, plain and transposed: their options, and the samples that they take. */
import { CgfacError } from '../../base/errors';
import { boolean, checkRequired, oneOf, positiveInteger, valueError } from '../../base/validate';
import { checkSize } from '../../base/weight-vector';
import type { NativePatches } from '../../native/shapes';
import type { LayerKind, NetworkShape, SharingOptions } from './layer-kind';
import { type LayerRole, roleNames, withRole } from './role';
import { ownGrads, wholeRows } from './samples';
import {
  describeWindow,
  extents,
  inWords,
  positionsOf,
  readConvolution,
  sampleOf,
  tapsOf,
  type WindowOptions,
  windowNames,
  windowsOver,
} from './windows';

/** A convolution, for {@link Preconditioner.registerConv2d}: kernels are [kh, kw, C, filters], data NHWC. */
export interface Conv2dLayerOptions extends WindowOptions, SharingOptions, LayerRole {
  /** A sample's data, `[H, W, C]`. */
  readonly inputShape: readonly number[];
  /** M, the channels of the output. */
  readonly filters: number;
  /** Whether it has a bias. Default: true. */
  readonly bias?: boolean;
}

/** A transposed convolution, for {@link Preconditioner.registerConv2dTranspose}: kernels are [kh, kw, filters, C]. */
export interface Conv2dTransposeLayerOptions extends WindowOptions, SharingOptions, LayerRole {
  /** A sample's data, `[H, W, C]`. */
  readonly inputShape: readonly number[];
  /** M, the channels of the output. */
  readonly filters: number;
  /**
   * Height and width of the output. Default: H · strides with padding 'same'; (H − 1) · strides + the larger of
   * kernelSize and strides with 'valid', as tf.layers has it.
   */
  readonly outputShape?: readonly number[];
  /** A bias has a block of its own, {@link Preconditioner.registerDiagonal}. Default: false, and nothing else. */
  readonly bias?: false;
}

/** The names of {@link SharingOptions}. */
export const sharingNames = ['weightSharing', 'maxRows'];

/** The sharing of a convolution, checked. */
export function sharingOf(given: SharingOptions, defaults: Required<SharingOptions>): Required<SharingOptions> {
  const { weightSharing = defaults.weightSharing, maxRows = defaults.maxRows } = given;
  return {
    weightSharing: oneOf(weightSharing, 'weightSharing', ['expand', 'reduce']),
    maxRows: positiveInteger(maxRows, 'maxRows'),
  };
}

/** The windows of a shape that has such. */
export function patchesOf({ patches }: NetworkShape): NativePatches {
  if (patches === undefined) throw new TypeError('a convolution has windows');
  return patches;
}

const required = {
  inputShape: 'an array of positive integers',
  kernelSize: 'an array of positive integers',
  filters: 'a positive integer',
};

function parseConvolution(given: unknown, defaults: Required<SharingOptions>, owner: string, axes: 2 | 3) {
  const names = ['inputShape', 'filters', 'bias', ...windowNames, ...sharingNames, ...roleNames];
  const options = readConvolution<Conv2dLayerOptions>(given, owner, names);
  checkRequired(options, owner, required);
  const patches = windowsOver(extents(options.inputShape, 'inputShape', axes + 1), options, axes);
  const shape: NetworkShape = {
    kind: 'convolution',
    inFeatures: tapsOf(patches) * patches.channels,
    outFeatures: positiveInteger(options.filters, 'filters'),
    bias: boolean(options.bias ?? true, 'bias'),
    kernelLayout: 'in-out',
    columns: 0,
    patches,
    ...sharingOf(options, defaults),
  };
  checkSize(shape.inFeatures, shape.outFeatures);
  return withRole(shape, options);
}

/** Samples of data, and all positions of what comes out: as many of the batch's samples, or a multiple of them. */
const samples: Pick<LayerKind, 'required' | 'rows' | 'fisherRows'> = {
  required: { inputs: 'a Float32Array' },

  rows: (shape, inputs, lossGrads, batch) => {
    const patches = patchesOf(shape);
    const words = [...patches.size, patches.channels].join(' × ');
    const { rows, numbers } = wholeRows(inputs, 'inputs', sampleOf(patches), words, batch);
    const width = positionsOf(patches) * shape.outFeatures;
    return { rows, inputs: numbers, lossGrads: ownGrads(lossGrads, rows, width, gradsInWords(shape)) };
  },

  fisherRows: (shape, outputGrads, batch) => {
    const width = positionsOf(patchesOf(shape)) * shape.outFeatures;
    const { rows, numbers } = wholeRows(outputGrads, 'outputGrads', width, gradsInWords(shape), batch);
    return { rows, outputGrads: numbers };
  },
};

function gradsInWords(shape: NetworkShape): string {
  return `${positionsOf(patchesOf(shape))} positions × ${shape.outFeatures} channels`;
}

function describe(shape: NetworkShape): string {
  return `${describeWindow(patchesOf(shape))} → ${shape.outFeatures}${shape.bias ? ' + bias' : ''}`;
}

/** The kind of convolutions over images. */
export const conv2d: LayerKind = {
  ...samples,
  parse: (given, defaults) => parseConvolution(given, defaults, 'registerConv2d', 2),
  describe,
};

/** The kind of convolutions over volumes. */
export const conv3d: LayerKind = {
  ...samples,
  parse: (given, defaults) => parseConvolution(given, defaults, 'registerConv3d', 3),
  describe,
};

/** Height and width of what a transposed convolution makes, as tf.layers has them. */
function outputOf(input: readonly number[], { kernelSize, strides = [1, 1], padding }: WindowOptions): number[] {
  return [0, 1].map((axis) => {
    const [size = 0, kernel = 1, stride = 1] = [input[axis], kernelSize[axis], strides[axis]];
    return padding === 'same' ? size * stride : (size - 1) * stride + Math.max(kernel, stride);
  });
}

/** The windows over what comes out, which the input's positions are. */
function transposedWindows(options: Conv2dTransposeLayerOptions, input: readonly number[], filters: number) {
  extents(options.kernelSize, 'kernelSize', 2);
  if (options.strides !== undefined) extents(options.strides, 'strides', 2);
  const [height = 1, width = 1] =
    options.outputShape === undefined ? outputOf(input, options) : extents(options.outputShape, 'outputShape', 2);
  const patches = windowsOver([height, width, filters], options, 2);
  const made = patches.out.slice(1);
  if (made.some((out, axis) => out !== input[axis]))
    throw new CgfacError(
      'ERR_CGFAC_INVALID_ARG_VALUE',
      `Expected an output of as many windows as the data has positions, ${inWords(input.slice(0, 2))}, for ` +
        `outputShape but received ${inWords([height, width])} of ${inWords(made)} windows`,
    );
  return patches;
}

/** Transposed convolutions over images. */
export const conv2dTranspose: LayerKind = {
  required: samples.required,

  parse: (given, defaults) => {
    const owner = 'registerConv2dTranspose';
    const names = ['inputShape', 'filters', 'bias', 'outputShape', ...windowNames, ...sharingNames, ...roleNames];
    const options = readConvolution<Conv2dTransposeLayerOptions>(given, owner, names);
    checkRequired(options, owner, required);
    if ((options.bias ?? false) !== false)
      throw valueError('false (a bias is registered by registerDiagonal)', 'bias', options.bias);
    const input = extents(options.inputShape, 'inputShape', 3);
    const filters = positiveInteger(options.filters, 'filters');
    const patches = transposedWindows(options, input, filters);
    const shape: NetworkShape = {
      kind: 'transposedConvolution',
      inFeatures: input[2] ?? 0,
      outFeatures: tapsOf(patches) * filters,
      bias: false,
      kernelLayout: 'out-in',
      columns: 0,
      patches,
      ...sharingOf(options, defaults),
    };
    checkSize(shape.inFeatures, shape.outFeatures);
    return withRole(shape, options);
  },

  rows: (shape, inputs, lossGrads, batch) => {
    const patches = patchesOf(shape);
    const words = `${positionsOf(patches)} positions × ${shape.inFeatures} channels`;
    const { rows, numbers } = wholeRows(inputs, 'inputs', positionsOf(patches) * shape.inFeatures, words, batch);
    const grads = ownGrads(lossGrads, rows, sampleOf(patches), `an output of ${sampleOf(patches)} numbers`);
    return { rows, inputs: numbers, lossGrads: grads };
  },

  fisherRows: (shape, outputGrads, batch) => {
    const width = sampleOf(patchesOf(shape));
    const words = `an output of ${width} numbers`;
    const { rows, numbers } = wholeRows(outputGrads, 'outputGrads', width, words, batch);
    return { rows, outputGrads: numbers };
  },

  describe: (shape) => `transposed, ${shape.inFeatures} → ${describeWindow(patchesOf(shape))}`,
};

/** A depthwise convolution, for {@link Preconditioner.registerDepthwiseConv2d}: kernels are [kh, kw, C, multiplier]. */
export interface DepthwiseConv2dLayerOptions extends WindowOptions, SharingOptions, LayerRole {
  /** A sample's data, `[H, W, C]`. */
  readonly inputShape: readonly number[];
  /** Outputs of each channel. Default: 1. */
  readonly depthMultiplier?: number;
  /** Whether it has a bias, `C × depthMultiplier` numbers. Default: true. */
  readonly bias?: boolean;
}

/** Depthwise convolutions over images. */
export const depthwiseConv2d: LayerKind = {
  ...samples,

  parse: (given, defaults) => {
    const owner = 'registerDepthwiseConv2d';
    const names = ['inputShape', 'depthMultiplier', 'bias', ...windowNames, ...sharingNames, ...roleNames];
    const options = readConvolution<DepthwiseConv2dLayerOptions>(given, owner, names);
    checkRequired(options, owner, { inputShape: required.inputShape, kernelSize: required.kernelSize });
    const patches = windowsOver(extents(options.inputShape, 'inputShape', 3), options, 2);
    const multiplier = positiveInteger(options.depthMultiplier ?? 1, 'depthMultiplier');
    const shape: NetworkShape = {
      kind: 'depthwiseConvolution',
      inFeatures: tapsOf(patches),
      outFeatures: patches.channels * multiplier,
      bias: boolean(options.bias ?? true, 'bias'),
      kernelLayout: 'in-out',
      columns: 0,
      patches,
      multiplier,
      ...sharingOf(options, defaults),
    };
    checkSize(shape.inFeatures, shape.outFeatures);
    return withRole(shape, options);
  },

  describe: (shape) => `depthwise, ${describe(shape)}`,
};
