import { convolution } from './convolution';
import { dense } from './dense';
import { depthwiseConvolution } from './depthwise-convolution';
import { embedding } from './embedding';
import type { LayerKind } from './layer-kind';
import { scaleShift } from './scale-shift';
import { transposedConvolution } from './transposed-convolution';

/** The kinds of layers that are preconditioned, tried in this order. */
export const KINDS: readonly LayerKind[] = [
  dense,
  convolution,
  transposedConvolution,
  depthwiseConvolution,
  embedding,
  scaleShift,
];
