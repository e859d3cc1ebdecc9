/** The tables of what kinds other than the dense one refuse: a small layer of each, and rows of two samples. */
import { Preconditioner, type PreconditionerOptions } from 'cgfac';
import { type Case, testRefusals, untyped } from './refusals';

/** The method that registers a kind. */
export type Register =
  | 'registerConv2d'
  | 'registerConv3d'
  | 'registerConv2dTranspose'
  | 'registerDepthwiseConv2d'
  | 'registerEmbedding'
  | 'registerScaleShift';

/** Options of a small layer of each kind. */
export const good = {
  registerConv2d: { inputShape: [4, 3, 2], kernelSize: [2, 2], filters: 3 },
  registerConv3d: { inputShape: [2, 4, 3, 2], kernelSize: [2, 2, 2], filters: 3 },
  registerConv2dTranspose: { inputShape: [4, 3, 2], kernelSize: [2, 2], filters: 3 },
  registerDepthwiseConv2d: { inputShape: [4, 3, 2], kernelSize: [2, 2] },
  registerEmbedding: { inputDim: 5, outputDim: 3 },
  registerScaleShift: { features: 3 },
} as const;

/** A network of no layer. */
export const network = () =>
  new Preconditioner({ lossReduction: 'sum', stepRule: 'fixed', useEma: false } as PreconditionerOptions);

/** A network of one layer of a kind, with some options. */
export function registered(register: Register, options: object = {}) {
  const preconditioner = network();
  const call: (name: string, options: never) => boolean = preconditioner[register].bind(preconditioner);
  call('layer', untyped({ ...good[register], ...options }));
  return preconditioner;
}

/** An array of so many zeros. */
export const zeros = (length: number) => new Float32Array(length);
/** The samples of {@link rows}. */
export const batch = 2;

/** Rows of a batch of two samples. */
export const rows = {
  registerConv2d: { inputs: zeros(2 * 24).fill(1), lossGrads: zeros(2 * 18).fill(1), batch },
  registerConv3d: { inputs: zeros(2 * 48).fill(1), lossGrads: zeros(2 * 18).fill(1), batch },
  registerConv2dTranspose: { inputs: zeros(2 * 24).fill(1), lossGrads: zeros(2 * 60).fill(1), batch },
  registerDepthwiseConv2d: { inputs: zeros(2 * 24).fill(1), lossGrads: zeros(2 * 12).fill(1), batch },
  registerEmbedding: { inputs: Int32Array.of(0, 1, 4, 4), lossGrads: zeros(4 * 3).fill(1), batch },
  registerScaleShift: { inputs: zeros(4 * 3).fill(1), lossGrads: zeros(4 * 3).fill(1), batch },
} as const;

/** The methods that register a kind. */
export const kinds = Object.keys(good) as Register[];
/** The methods that register convolutions. */
export const convolutions = kinds.slice(0, 4);

/** A refused call, and what it is told. */
export type Row = readonly [what: string, code: Case['code'], message: string, call: () => unknown];

/** One test for each row. */
export function testRows(table: readonly Row[]): void {
  testRefusals(table.map(([what, code, message, call]) => ({ what, code, message, call })));
}
