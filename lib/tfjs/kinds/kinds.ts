import { dense } from './dense';
import type { LayerKind } from './layer-kind';

/** The kinds of layers that are preconditioned, tried in this order. */
export const KINDS: readonly LayerKind[] = [dense];
