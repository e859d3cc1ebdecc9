/** The tables of refused calls: a layer of 3 × 2 with a bias and a batch of 4, made anew for every case. */
import {
  CgfacError,
  type CgfacErrorCode,
  FisherOperator,
  type FisherOperatorOptions,
  LayerPreconditioner,
  type LayerPreconditionerOptions,
} from 'cgfac';

/** The input side of the layer of the table. */
export const inFeatures = 2;
/** The output side of the layer of the table. */
export const outFeatures = 3;
/** The samples that every case has. */
export const batch = 4;

/** The rows of a batch, as `record` takes them. */
export const rows = () => ({
  inputs: Float32Array.from({ length: batch * inFeatures }, (_, i) => i + 1),
  outputGrads: Float32Array.from({ length: batch * outFeatures }, (_, i) => i - 5),
  batch,
});
/** The options of the layer. */
export const layer = (): LayerPreconditionerOptions<true> => ({
  inFeatures,
  outFeatures,
  bias: true,
  damping: 0.5,
  lossReduction: 'sum',
});
/** A vector of the layer, every element the same. */
export const vector = (fill = 1) => ({
  kernel: new Float32Array(6).fill(fill),
  bias: new Float32Array(3).fill(fill),
});
/** An operator of the layer and its batch. */
export const operator = () => new FisherOperator<true>({ ...layer(), ...rows() });
/** A layer that has recorded its batch. */
export const recorded = () => {
  const preconditioner = new LayerPreconditioner<true>(layer());
  preconditioner.record(rows());
  return preconditioner;
};
/** The array, after its memory was transferred away. */
export const detached = (array: Float32Array) => {
  structuredClone(array, { transfer: [array.buffer as ArrayBuffer] });
  return array;
};
/** An array on a buffer that can change its length. */
export const resizable = (length: number) => {
  const Resizable = ArrayBuffer as unknown as new (bytes: number, options: { maxByteLength: number }) => ArrayBuffer;
  return new Float32Array(new Resizable(length * 4, { maxByteLength: length * 8 }));
};
/** An array of ones with one other value. */
export const spoiled = (length: number, value: number, index: number) =>
  Float32Array.from({ length }, (_, i) => (i === index ? value : 1));
/** What a caller without types could pass. */
export const untyped = (value: unknown) => value as never;

/** A refused call, and what it is told. */
export interface Case {
  readonly what: string;
  readonly code: CgfacErrorCode;
  /** The message, or a pattern of it. */
  readonly message: string;
  readonly call: () => unknown;
}

/** Constructs an operator with other options. */
export const constructing = (options: Partial<Record<string, unknown>>) => () =>
  new FisherOperator(untyped({ ...layer(), ...rows(), ...options }) as FisherOperatorOptions);
/** Constructs a layer with other options. */
export const layering = (options: Partial<Record<string, unknown>>) => () =>
  new LayerPreconditioner(untyped({ ...layer(), ...options }) as LayerPreconditionerOptions);
/** Records a batch with other rows. */
export const recording = (options: Partial<Record<string, unknown>>) => () =>
  recorded().record(untyped({ ...rows(), ...options }));
/** Applies the operator to a vector, with options. */
export const applying =
  (v: unknown, options: object = {}) =>
  () =>
    operator().applySync(untyped(v), untyped(options));

/** The rows of a batch, as `naturalGradient` takes them. */
export const own = () => ({
  ...rows(),
  lossGrads: Float32Array.from({ length: batch * outFeatures }, (_, i) => 1 - i / 4),
});
/** A call of naturalGradientSync: with some rows or options, of a layer with some options. */
export const naturally =
  (options: Partial<Record<string, unknown>>, layerOptions: object = {}) =>
  () =>
    new LayerPreconditioner<true>({ ...layer(), ...layerOptions }).naturalGradientSync(
      untyped({ ...own(), ...options }),
    );

/** Short names of the codes that many rows of the tables have. */
export const codes = {
  type: 'ERR_CGFAC_INVALID_ARG_TYPE',
  value: 'ERR_CGFAC_INVALID_ARG_VALUE',
  shape: 'ERR_CGFAC_SHAPE_MISMATCH',
  missing: 'ERR_CGFAC_MISSING_OPTION',
  unknown: 'ERR_CGFAC_UNKNOWN_OPTION',
  notFinite: 'ERR_CGFAC_NOT_FINITE',
  buffer: 'ERR_CGFAC_DETACHED_BUFFER',
  overlap: 'ERR_CGFAC_OVERLAP',
} as const;

/** The error that a call throws or rejects with, or undefined. */
export const caught = async (call: () => unknown): Promise<unknown> => {
  try {
    await call();
  } catch (error) {
    return error;
  }
  return undefined;
};

/** One test for each row of a table: the call ends in this error. */
export function testRefusals(table: readonly Case[]): void {
  test.each(table)('$what', async ({ code, message, call }) => {
    const error = await caught(call);
    expect(error).toBeInstanceOf(CgfacError);
    expect(error).toMatchObject({ name: 'CgfacError', code, message });
  });
}
