import {
  CgfacError,
  type CgfacErrorCode,
  ConjugateGradient,
  FisherOperator,
  type FisherOperatorOptions,
  LayerPreconditioner,
  type LayerPreconditionerOptions,
  Preconditioner,
  type PreconditionerOptions,
  preconditionAll,
  preconditionAllSync,
  setThreads,
} from 'cgfac';

// The layer of the table: 3 × 2 with a bias, a batch of 4. Everything is made anew for every case.
const inFeatures = 2;
const outFeatures = 3;
const batch = 4;

const rows = () => ({
  inputs: Float32Array.from({ length: batch * inFeatures }, (_, i) => i + 1),
  outputGrads: Float32Array.from({ length: batch * outFeatures }, (_, i) => i - 5),
  batch,
});
const layer = (): LayerPreconditionerOptions<true> => ({
  inFeatures,
  outFeatures,
  bias: true,
  damping: 0.5,
  lossReduction: 'sum',
});
const vector = (fill = 1) => ({ kernel: new Float32Array(6).fill(fill), bias: new Float32Array(3).fill(fill) });
const operator = () => new FisherOperator<true>({ ...layer(), ...rows() });
const recorded = () => {
  const preconditioner = new LayerPreconditioner<true>(layer());
  preconditioner.record(rows());
  return preconditioner;
};
const detached = (array: Float32Array) => {
  structuredClone(array, { transfer: [array.buffer as ArrayBuffer] });
  return array;
};
const resizable = (length: number) => {
  const Resizable = ArrayBuffer as unknown as new (bytes: number, options: { maxByteLength: number }) => ArrayBuffer;
  return new Float32Array(new Resizable(length * 4, { maxByteLength: length * 8 }));
};
const spoiled = (length: number, value: number, index: number) =>
  Float32Array.from({ length }, (_, i) => (i === index ? value : 1));
/** What a caller without types could pass. */
const untyped = (value: unknown) => value as never;

interface Case {
  readonly what: string;
  readonly code: CgfacErrorCode;
  /** The message, or a pattern of it. */
  readonly message: string;
  readonly call: () => unknown;
}

const constructing = (options: Partial<Record<string, unknown>>) => () =>
  new FisherOperator(untyped({ ...layer(), ...rows(), ...options }) as FisherOperatorOptions);
const layering = (options: Partial<Record<string, unknown>>) => () =>
  new LayerPreconditioner(untyped({ ...layer(), ...options }) as LayerPreconditionerOptions);
const recording = (options: Partial<Record<string, unknown>>) => () =>
  recorded().record(untyped({ ...rows(), ...options }));
const applying =
  (v: unknown, options: object = {}) =>
  () =>
    operator().applySync(untyped(v), untyped(options));

const own = () => ({ ...rows(), lossGrads: Float32Array.from({ length: batch * outFeatures }, (_, i) => 1 - i / 4) });
/** A call of naturalGradientSync: with some rows or options, of a layer with some options. */
const naturally =
  (options: Partial<Record<string, unknown>>, layerOptions: object = {}) =>
  () =>
    new LayerPreconditioner<true>({ ...layer(), ...layerOptions }).naturalGradientSync(
      untyped({ ...own(), ...options }),
    );
const updating = (applyTo: unknown) => naturally({ applyTo });
const solvingAll =
  (...systems: unknown[]) =>
  () =>
    preconditionAllSync(untyped(systems));
const spectrum = () => {
  const preconditioner = new LayerPreconditioner<true>({ ...layer(), method: 'exact' });
  preconditioner.record(rows());
  return preconditioner.preconditionSync(vector(), { spectrum: true }).spectrum;
};

/** A network of the layer, with some options, refused at construction or at its registration. */
const networking =
  (options: Partial<Record<string, unknown>>, dense: Partial<Record<string, unknown>> = {}) =>
  () => {
    const preconditioner = new Preconditioner(untyped({ lossReduction: 'sum', ...options }) as PreconditionerOptions);
    preconditioner.registerDense('layer', untyped({ inFeatures, outFeatures, ...dense }));
    return preconditioner;
  };
const batchRows = () => ({ inputs: rows().inputs, lossGrads: rows().outputGrads, batch });
/** A step of it, with other rows or options. */
const stepping =
  (
    options: unknown,
    given: Partial<Record<string, unknown>> = {},
    call: 'naturalGradientsSync' | 'naturalGradients' = 'naturalGradientsSync',
  ) =>
  () => {
    const preconditioner = networking({})();
    preconditioner.record('layer', untyped({ ...batchRows(), ...given }));
    return preconditioner[call](untyped(options));
  };
/** Refused combinations of options: what is given, what would be needed, what is found. */
const combinations: readonly (readonly [options: Record<string, unknown>, expected: string])[] = [
  [{ maxIterations: 5 }, "Expected method 'cg' or 'auto' with the option maxIterations but received 'exact'"],
  [{ tolerance: 0.1, method: 'kfac' }, "Expected method 'cg' or 'auto' with the option tolerance but received 'kfac'"],
  [{ space: 'gram' }, "Expected method 'cg' or 'auto' with the option space but received 'exact'"],
  [{ warmStart: 'none' }, "Expected method 'cg' or 'auto' with the option warmStart but received 'exact'"],
  [{ inverseUpdateSteps: 2 }, "Expected method 'kfac' with the option inverseUpdateSteps but received 'exact'"],
  ...(['none', 'panel'] as const).map(
    (factorHistory) =>
      [
        { factorHistory, method: 'kfac' },
        `Expected 'cg', 'exact' or 'auto' with factorHistory '${factorHistory}' (direct K-FAC's factors are dense running averages) for method but received 'kfac'`,
      ] as const,
  ),
  [{ rank: 8, dampingMode: 'tikhonov' }, "Expected factorHistory 'panel' with the option rank but received 'none'"],
  [{ panelRows: 8, method: 'kfac' }, "Expected factorHistory 'panel' with the option panelRows but received 'dense'"],
  [
    { factorDecay: 0.5, method: 'cg' },
    "Expected factorHistory 'panel' or 'dense' with the option factorDecay but received 'none'",
  ],
  [
    { window: 8, method: 'auto', factorHistory: 'dense' },
    "Expected factorHistory 'none' with the option window but received 'dense'",
  ],
  [
    { polyakFraction: 1, stepRule: 'fixed' },
    "Expected stepRule 'polyak' with the option polyakFraction but received 'fixed'",
  ],
  [{ klClip: 1 }, "Expected stepRule 'kl-clip' with the option klClip but received 'polyak'"],
  [{ rank: 8, factorHistory: 'dense' }, "Expected factorHistory 'panel' with the option rank but received 'dense'"],
  [
    { panelRows: 8, factorHistory: 'none' },
    "Expected factorHistory 'panel' with the option panelRows but received 'none'",
  ],
  [{ window: 8 }, "Expected factorHistory 'none' with the option window but received 'panel'"],
  [
    { factorDecay: 0.5, factorHistory: 'none' },
    "Expected factorHistory 'panel' or 'dense' with the option factorDecay but received 'none'",
  ],
  [
    { dampingMode: 'factored', method: 'cg' },
    "Expected 'exact' or 'kfac' with dampingMode 'factored' for method but received 'cg'",
  ],
  [
    { dampingMode: 'factored', method: 'auto' },
    "Expected 'exact' or 'kfac' with dampingMode 'factored' for method but received 'auto'",
  ],
  [
    { trustRegion: { kl: 1 } },
    "Expected method 'exact' with dampingMode 'tikhonov' with the option trustRegion but received 'exact' with 'factored'",
  ],
  [
    { trustRegion: { kl: 1 }, method: 'kfac' },
    "Expected method 'exact' with dampingMode 'tikhonov' with the option trustRegion but received 'kfac' with 'tikhonov'",
  ],
  [
    { trustRegion: { kl: 1 }, dampingMode: 'tikhonov', stepRule: 'polyak' },
    "Expected stepRule 'fixed' with the option trustRegion but received 'polyak'",
  ],
  [
    { trustRegion: { kl: 1 }, dampingMode: 'tikhonov', adaptiveDamping: true },
    'Expected no trustRegion with the option adaptiveDamping but received one',
  ],
  [
    { adaptiveFraction: true, stepRule: 'fixed' },
    "Expected stepRule 'polyak' with the option adaptiveFraction but received 'fixed'",
  ],
  [
    { adaptiveFraction: true, adaptiveDamping: true },
    'Expected no adaptiveDamping with the option adaptiveFraction but received both',
  ],
];

const type = 'ERR_CGFAC_INVALID_ARG_TYPE';
const value = 'ERR_CGFAC_INVALID_ARG_VALUE';
const shape = 'ERR_CGFAC_SHAPE_MISMATCH';
const missing = 'ERR_CGFAC_MISSING_OPTION';
const unknown = 'ERR_CGFAC_UNKNOWN_OPTION';
const notFinite = 'ERR_CGFAC_NOT_FINITE';
const buffer = 'ERR_CGFAC_DETACHED_BUFFER';
const overlap = 'ERR_CGFAC_OVERLAP';

const table: Case[] = [
  // lengths
  {
    what: 'inputs of another length',
    code: shape,
    message:
      'Expected a Float32Array of length 8 (batch 4 × inFeatures 2) for inputs but received a Float32Array of length 7',
    call: constructing({ inputs: new Float32Array(7) }),
  },
  {
    what: 'outputGrads of another length',
    code: shape,
    message:
      'Expected a Float32Array of length 6 (fisherRows 2 × outFeatures 3) for outputGrads but received a Float32Array of length 12',
    call: constructing({ fisherRows: 2 }),
  },
  {
    what: 'a kernel of another length',
    code: shape,
    message:
      'Expected a Float32Array of length 6 (outFeatures 3 × inFeatures 2) for v.kernel but received a Float32Array of length 5',
    call: applying({ kernel: new Float32Array(5), bias: new Float32Array(3) }),
  },
  {
    what: 'a bias of another length',
    code: shape,
    message: 'Expected a Float32Array of length 3 (outFeatures 3) for v.bias but received a Float32Array of length 2',
    call: applying({ kernel: new Float32Array(6), bias: new Float32Array(2) }),
  },
  {
    what: 'an out of another length',
    code: shape,
    message:
      'Expected a Float32Array of length 6 (outFeatures 3 × inFeatures 2) for out.kernel but received a Float32Array of length 9',
    call: applying(vector(), { out: { kernel: new Float32Array(9), bias: new Float32Array(3) } }),
  },
  {
    what: 'a vector for an operator of another shape',
    code: shape,
    message:
      'Expected a Float32Array of length 6 (outFeatures 3 × inFeatures 2) for v.kernel but received a Float32Array of length 8',
    call: () =>
      new ConjugateGradient().solveSync(operator(), { kernel: new Float32Array(8), bias: new Float32Array(4) }),
  },
  {
    what: 'an x0 for an operator of another shape',
    code: shape,
    message:
      'Expected a Float32Array of length 6 (outFeatures 3 × inFeatures 2) for x0.kernel but received a Float32Array of length 8',
    call: () =>
      new ConjugateGradient().solveSync(operator(), vector(), {
        x0: { kernel: new Float32Array(8), bias: new Float32Array(3) },
      }),
  },
  {
    what: 'recorded inputs of another length',
    code: shape,
    message:
      'Expected a Float32Array of length 10 (batch 5 × inFeatures 2) for inputs but received a Float32Array of length 8',
    call: recording({ batch: 5 }),
  },
  // types
  {
    what: 'inputs as number[]',
    code: type,
    message:
      'Expected a Float32Array of length 8 (batch 4 × inFeatures 2) for inputs but received an array of length 8',
    call: constructing({ inputs: [1, 2, 3, 4, 5, 6, 7, 8] }),
  },
  {
    what: 'inputs as Float64Array',
    code: type,
    message:
      'Expected a Float32Array of length 8 (batch 4 × inFeatures 2) for inputs but received a Float64Array of length 8',
    call: constructing({ inputs: new Float64Array(8) }),
  },
  {
    what: 'v without a bias for a layer with one',
    code: type,
    message: 'Expected { kernel, bias } of a layer with a bias for v but received a Float32Array of length 6',
    call: applying(new Float32Array(6)),
  },
  {
    what: 'v with a bias for a layer without one',
    code: type,
    message:
      'Expected a Float32Array of length 6 (outFeatures 3 × inFeatures 2) for v but received an object with keys kernel, bias',
    call: () =>
      new FisherOperator(untyped({ ...layer(), ...rows(), bias: false }) as FisherOperatorOptions).applySync(vector()),
  },
  {
    what: 'v as number[]',
    code: type,
    message:
      'Expected a Float32Array of length 6 (outFeatures 3 × inFeatures 2) for v.kernel but received an array of length 2',
    call: applying({ kernel: [1, 2], bias: new Float32Array(3) }),
  },
  {
    what: 'no v',
    code: type,
    message: 'Expected { kernel, bias } of a layer with a bias for v but received undefined',
    call: applying(undefined),
  },
  {
    what: 'an operator that is none',
    code: type,
    message: 'Expected a FisherOperator for operator but received an object with keys (none)',
    call: () => new ConjugateGradient().solveSync(untyped({}), vector()),
  },
  {
    what: 'bias as a number',
    code: type,
    message: 'Expected a boolean for bias but received 1',
    call: constructing({ bias: 1 }),
  },
  {
    what: 'batch as a string',
    code: type,
    message: "Expected a positive integer for batch but received '4'",
    call: constructing({ batch: '4' }),
  },
  {
    what: 'options that are no object',
    code: type,
    message: 'Expected an options object for the options of ConjugateGradient but received 20',
    call: () => new ConjugateGradient(untyped(20)),
  },
  {
    what: 'a signal that is none',
    code: type,
    message: 'Expected an AbortSignal for signal but received true',
    call: () => operator().apply(vector(), { signal: untyped(true) }),
  },
  // values
  {
    what: 'batch 0',
    code: value,
    message: 'Expected a positive integer below 2^31 for batch but received 0',
    call: constructing({ batch: 0 }),
  },
  {
    what: 'recorded batch 0',
    code: value,
    message: 'Expected a positive integer below 2^31 for batch but received 0',
    call: recording({ batch: 0 }),
  },
  {
    what: 'fisherRows 1.5',
    code: value,
    message: 'Expected a positive integer below 2^31 for fisherRows but received 1.5',
    call: constructing({ fisherRows: 1.5 }),
  },
  {
    what: 'inFeatures −2',
    code: value,
    message: 'Expected a positive integer below 2^31 for inFeatures but received -2',
    call: layering({ inFeatures: -2 }),
  },
  {
    what: 'more weights than BLAS can index',
    code: value,
    message: 'Expected inFeatures × outFeatures below 2^31 for inFeatures but received 1000000',
    call: layering({ inFeatures: 1_000_000, outFeatures: 1_000_000 }),
  },
  ...([0, -1, Number.NaN, Number.POSITIVE_INFINITY, 1e-60, 1e60] as const).flatMap((damping): Case[] => [
    {
      what: `damping ${damping} of an operator`,
      code: value,
      message: `Expected a number > 0 in the range of float32 for damping but received ${damping}`,
      call: constructing({ damping }),
    },
    {
      what: `relative damping ${damping} of a layer`,
      code: value,
      message: `Expected a number > 0 in the range of float32 for damping.relative but received ${damping}`,
      call: layering({ damping: { relative: damping } }),
    },
  ]),
  {
    what: 'damping as a string',
    code: type,
    message: "Expected a number > 0 or { relative: number > 0 } for damping but received '1'",
    call: layering({ damping: '1' }),
  },
  {
    what: 'a misspelt damping',
    code: type,
    message: 'Expected a number > 0 or { relative: number > 0 } for damping but received an object with keys relativ',
    call: layering({ damping: { relativ: 1 } }),
  },
  {
    what: 'relative damping of zeros',
    code: value,
    message:
      'Expected inputs and outputGrads that are not all zero for relative damping but received a mean eigenvalue of 0',
    call: () =>
      new FisherOperator<true>({
        ...layer(),
        ...rows(),
        outputGrads: new Float32Array(12),
        damping: { relative: 1 },
      }).applySync(vector()),
  },
  {
    what: 'maxIterations 0',
    code: value,
    message: 'Expected a positive integer below 2^31 for maxIterations but received 0',
    call: layering({ maxIterations: 0 }),
  },
  {
    what: 'tolerance −1',
    code: value,
    message: 'Expected a finite number ≥ 0 for tolerance but received -1',
    call: layering({ tolerance: -1 }),
  },
  {
    what: 'tolerance NaN',
    code: value,
    message: 'Expected a finite number ≥ 0 for tolerance but received NaN',
    call: layering({ tolerance: Number.NaN }),
  },
  {
    what: 'an unknown space',
    code: value,
    message: "Expected 'auto' or 'weight' or 'gram' for space but received 'grams'",
    call: layering({ space: 'grams' }),
  },
  {
    what: 'an unknown method',
    code: value,
    message: "Expected 'auto' or 'cg' or 'exact' or 'kfac' for method but received 'newton'",
    call: layering({ method: 'newton' }),
  },
  {
    what: 'an unknown warm start',
    code: value,
    message: "Expected 'none' or 'previous' or 'scaled' for warmStart but received 'last'",
    call: layering({ warmStart: 'last' }),
  },
  {
    what: 'an unknown reduction',
    code: value,
    message: "Expected 'sum' or 'mean' for lossReduction but received 'none'",
    call: layering({ lossReduction: 'none' }),
  },
  {
    what: 'an unknown layout',
    code: value,
    message: "Expected 'out-in' or 'in-out' for kernelLayout but received 'nchw'",
    call: layering({ kernelLayout: 'nchw' }),
  },
  // options
  {
    what: 'no lossReduction for an operator',
    code: missing,
    message:
      "Expected 'sum' or 'mean' for lossReduction of FisherOperator, which has no default, but received undefined",
    call: constructing({ lossReduction: undefined }),
  },
  {
    what: 'no lossReduction for a layer',
    code: missing,
    message:
      "Expected 'sum' or 'mean' for lossReduction of LayerPreconditioner, which has no default, but received undefined",
    call: layering({ lossReduction: undefined }),
  },
  {
    what: 'no damping',
    code: missing,
    message:
      'Expected a number > 0 or { relative } for damping of LayerPreconditioner, which has no default, but received undefined',
    call: layering({ damping: undefined }),
  },
  {
    what: 'no inputs',
    code: missing,
    message: 'Expected a Float32Array for inputs of record, which has no default, but received undefined',
    call: recording({ inputs: undefined }),
  },
  {
    what: 'an unknown option of an operator',
    code: unknown,
    message:
      "Expected one of inFeatures, outFeatures, bias, damping, lossReduction, kernelLayout, inputs, outputGrads, batch, fisherRows for an option of FisherOperator but received 'dampening'; did you mean 'damping'?",
    call: constructing({ dampening: 1 }),
  },
  {
    what: 'an unknown option of a layer',
    code: unknown,
    message:
      "Expected one of inFeatures, outFeatures, bias, damping, lossReduction, kernelLayout, maxIterations, tolerance, space, warmStart, factorUpdateSteps, inverseUpdateSteps, factorDecay, method, dampingMode, block, factorHistory, rank, panelRows for an option of LayerPreconditioner but received 'warmstart'; did you mean 'warmStart'?",
    call: layering({ warmstart: 'none' }),
  },
  {
    what: 'an unknown option of a solver',
    code: unknown,
    message:
      "Expected one of maxIterations, tolerance, space, history for an option of ConjugateGradient but received 'iterations'; did you mean 'maxIterations'?",
    call: () => new ConjugateGradient(untyped({ iterations: 3 })),
  },
  {
    what: 'an unknown option of a call',
    code: unknown,
    message: "Expected one of out for an option of applySync but received 'signal'",
    call: applying(vector(), { signal: new AbortController().signal }),
  },
  // what is not finite
  ...([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY] as const).flatMap((bad): Case[] => [
    {
      what: `${bad} in inputs`,
      code: notFinite,
      message: `Expected finite numbers for inputs but received ${bad} at index 5`,
      call: () => new FisherOperator<true>({ ...layer(), ...rows(), inputs: spoiled(8, bad, 5) }).applySync(vector()),
    },
    {
      what: `${bad} in recorded outputGrads`,
      code: notFinite,
      message: `Expected finite numbers for outputGrads but received ${bad} at index 2`,
      call: recording({ outputGrads: spoiled(12, bad, 2) }),
    },
    {
      what: `${bad} in v`,
      code: notFinite,
      message: `Expected finite numbers for v.kernel but received ${bad} at index 4`,
      call: () => recorded().preconditionSync({ kernel: spoiled(6, bad, 4), bias: new Float32Array(3) }),
    },
    {
      what: `${bad} in the bias of v`,
      code: notFinite,
      message: `Expected finite numbers for v.bias but received ${bad} at index 1`,
      call: applying({ kernel: new Float32Array(6), bias: spoiled(3, bad, 1) }),
    },
    {
      what: `${bad} in x0`,
      code: notFinite,
      message: `Expected finite numbers for x0.kernel but received ${bad} at index 0`,
      call: () =>
        new ConjugateGradient().solveSync(operator(), vector(), {
          x0: { kernel: spoiled(6, bad, 0), bias: new Float32Array(3) },
        }),
    },
  ]),
  {
    what: 'a product beyond float32',
    code: notFinite,
    message: 'Expected products within the range of float32 for inputs, outputGrads and v but received an overflow',
    call: applying({ kernel: new Float32Array(6).fill(3e38), bias: new Float32Array(3) }),
  },
  // buffers
  {
    what: 'detached inputs',
    code: buffer,
    message:
      'Expected a Float32Array of length 8 (batch 4 × inFeatures 2) for inputs but received one whose buffer was detached',
    call: constructing({ inputs: detached(new Float32Array(8)) }),
  },
  {
    what: 'inputs detached after construction',
    code: 'ERR_CGFAC_SHAPE_MISMATCH',
    message: 'Expected a Float32Array of length 8 for inputs but received length 0',
    call: () => {
      const { inputs, outputGrads } = rows();
      const borrowing = new FisherOperator<true>({ ...layer(), inputs, outputGrads, batch });
      detached(inputs);
      return borrowing.applySync(vector());
    },
  },
  {
    what: 'a detached v',
    code: buffer,
    message:
      'Expected a Float32Array of length 6 (outFeatures 3 × inFeatures 2) for v.kernel but received one whose buffer was detached',
    call: applying({ kernel: detached(new Float32Array(6)), bias: new Float32Array(3) }),
  },
  {
    what: 'a resizable v',
    code: buffer,
    message: 'Expected a Float32Array on a buffer of fixed length for v.kernel but received one on a resizable buffer',
    call: applying({ kernel: resizable(6), bias: new Float32Array(3) }),
  },
  // overlaps
  {
    what: 'an out that overlaps v in part',
    code: overlap,
    message: 'Expected arrays that are those of v, or share no memory with them, for out but received an overlap',
    call: () => {
      const memory = new Float32Array(8);
      return operator().applySync(
        { kernel: memory.subarray(0, 6), bias: new Float32Array(3) },
        { out: { kernel: memory.subarray(1, 7), bias: new Float32Array(3) } },
      );
    },
  },
  {
    what: 'an out that takes only the kernel of v',
    code: overlap,
    message: 'Expected arrays that are those of v, or share no memory with them, for out but received an overlap',
    call: () => {
      const v = vector();
      return recorded().preconditionSync(v, { out: { kernel: v.kernel, bias: new Float32Array(3) } });
    },
  },
  {
    what: 'an out that overlaps x0 in part',
    code: overlap,
    message: 'Expected arrays that are those of x0, or share no memory with them, for out but received an overlap',
    call: () => {
      const x0 = vector();
      return new ConjugateGradient().solveSync(operator(), vector(), {
        x0,
        out: { kernel: new Float32Array(6), bias: x0.kernel.subarray(2, 5) },
      });
    },
  },
  {
    what: 'an out that overlaps the inputs',
    code: overlap,
    message:
      'Expected arrays that share no memory with inputs, outputGrads or lossGrads for out but received an overlap',
    call: () => {
      const { inputs, outputGrads } = rows();
      const borrowing = new FisherOperator<true>({ ...layer(), inputs, outputGrads, batch });
      return borrowing.applySync(vector(), { out: { kernel: inputs.subarray(0, 6), bias: new Float32Array(3) } });
    },
  },
  {
    what: 'an out whose parts overlap',
    code: overlap,
    message: 'Expected kernel and bias that share no memory for out but received an overlap',
    call: () => {
      const kernel = new Float32Array(6);
      return operator().applySync(vector(), { out: { kernel, bias: kernel.subarray(0, 3) } });
    },
  },
  // methods
  {
    what: 'a method as a number',
    code: type,
    message: "Expected 'auto' or 'cg' or 'exact' or 'kfac' for method but received 1",
    call: layering({ method: 1 }),
  },
  {
    what: 'an unknown damping mode',
    code: value,
    message: "Expected 'tikhonov' or 'factored' for dampingMode but received 'pi'",
    call: layering({ dampingMode: 'pi' }),
  },
  {
    what: 'an unknown block',
    code: value,
    message: "Expected 'kronecker' or 'sample' for block but received 'full'",
    call: layering({ block: 'full' }),
  },
  ...(['exact', 'kfac'] as const).flatMap((method): Case[] =>
    [{ maxIterations: 3 }, { tolerance: 0 }, { space: 'gram' }, { warmStart: 'none' }].map((option) => ({
      what: `${Object.keys(option)} with '${method}'`,
      code: value,
      message: `Expected 'cg' or 'auto' with the option ${Object.keys(option)} for method but received '${method}'`,
      call: layering({ method, ...option }),
    })),
  ),
  ...([{ dampingMode: 'factored' }, { block: 'sample' }] as const).map(
    (direct): Case => ({
      what: `maxIterations with ${Object.values(direct)}, for which the method is 'exact'`,
      code: value,
      message: "Expected 'cg' or 'auto' with the option maxIterations for method but received 'exact'",
      call: layering({ ...direct, maxIterations: 3 }),
    }),
  ),
  ...(['auto', 'cg', 'exact'] as const).flatMap((method): Case[] =>
    [{ factorUpdateSteps: 2 }, { factorDecay: 0.5 }].map((option) => ({
      what: `${Object.keys(option)} with '${method}' and without averages`,
      code: value,
      message: `Expected 'panel' or 'dense' with the option ${Object.keys(option)} for factorHistory but received 'none'`,
      call: layering({ method, ...option }),
    })),
  ),
  ...(['auto', 'cg', 'exact'] as const).map(
    (method): Case => ({
      what: `inverseUpdateSteps with '${method}'`,
      code: value,
      message: `Expected 'kfac' with the option inverseUpdateSteps for method but received '${method}'`,
      call: layering({ method, inverseUpdateSteps: 2 }),
    }),
  ),
  {
    what: 'factorDecay without a method and without averages',
    code: value,
    message: "Expected 'panel' or 'dense' with the option factorDecay for factorHistory but received 'none'",
    call: layering({ factorDecay: 0.5 }),
  },
  ...(['none', 'dense'] as const).flatMap((factorHistory): Case[] =>
    [{ rank: 8 }, { panelRows: 8 }].map((option) => ({
      what: `${Object.keys(option)} with factorHistory '${factorHistory}'`,
      code: value,
      message: `Expected 'panel' with the option ${Object.keys(option)} for factorHistory but received '${factorHistory}'`,
      call: layering({ factorHistory, ...option }),
    })),
  ),
  ...(['none', 'panel'] as const).map(
    (factorHistory): Case => ({
      what: `factorHistory '${factorHistory}' with 'kfac'`,
      code: value,
      message: `Expected 'cg', 'exact' or 'auto' with factorHistory '${factorHistory}' (direct K-FAC's factors are dense running averages) for method but received 'kfac'`,
      call: layering({ factorHistory, method: 'kfac' }),
    }),
  ),
  ...(['panel', 'dense'] as const).map(
    (factorHistory): Case => ({
      what: `factorHistory '${factorHistory}' with block 'sample'`,
      code: value,
      message: `Expected 'none' with block 'sample' (a sum over samples has no factors to average) for factorHistory but received '${factorHistory}'`,
      call: layering({ factorHistory, block: 'sample' }),
    }),
  ),
  {
    what: "dampingMode 'factored' with 'cg'",
    code: value,
    message: "Expected 'exact', 'kfac' or 'auto' with dampingMode 'factored' for method but received 'cg'",
    call: layering({ dampingMode: 'factored', method: 'cg' }),
  },
  {
    what: "block 'sample' with factored damping",
    code: value,
    message: "Expected 'tikhonov' with block 'sample' for dampingMode but received 'factored'",
    call: layering({ block: 'sample', dampingMode: 'factored' }),
  },
  ...(['cg', 'kfac'] as const).map(
    (method): Case => ({
      what: `block 'sample' with '${method}'`,
      code: value,
      message: `Expected 'exact' or 'auto' with block 'sample' for method but received '${method}'`,
      call: layering({ block: 'sample', method }),
    }),
  ),
  {
    what: 'factorDecay 1',
    code: value,
    message: 'Expected a number ≥ 0 and < 1 for factorDecay but received 1',
    call: layering({ method: 'kfac', factorDecay: 1 }),
  },
  {
    what: 'factorDecay −0.5',
    code: value,
    message: 'Expected a finite number ≥ 0 for factorDecay but received -0.5',
    call: layering({ method: 'kfac', factorDecay: -0.5 }),
  },
  {
    what: 'factorDecay as a string',
    code: type,
    message: "Expected a number ≥ 0 for factorDecay but received '0.9'",
    call: layering({ method: 'kfac', factorDecay: '0.9' }),
  },
  ...(['factorUpdateSteps', 'inverseUpdateSteps'] as const).flatMap((name): Case[] =>
    [0, 1.5].map((steps) => ({
      what: `${name} ${steps}`,
      code: value,
      message: `Expected a positive integer below 2^31 for ${name} but received ${steps}`,
      call: layering({ method: 'kfac', [name]: steps }),
    })),
  ),
  {
    what: 'fisherRows that are not the batch, with the per-sample block',
    code: shape,
    message: 'Expected as many rows as inputs has, 4, for outputGrads of the per-sample block but received 2',
    call: naturally({ outputGrads: new Float32Array(6).fill(1), fisherRows: 2 }, { block: 'sample' }),
  },
  {
    what: 'recorded fisherRows that are not the batch, with the per-sample block',
    code: shape,
    message: 'Expected as many rows as inputs has, 4, for outputGrads of the per-sample block but received 2',
    call: () => {
      const preconditioner = new LayerPreconditioner<true>({ ...layer(), block: 'sample' });
      preconditioner.record({ ...rows(), outputGrads: new Float32Array(6).fill(1), fisherRows: 2 });
      return preconditioner.preconditionSync(vector());
    },
  },
  {
    what: 'factored damping of zeros',
    code: value,
    message:
      'Expected inputs and outputGrads that are not all zero for factored damping but received a mean eigenvalue of 0',
    call: naturally({ outputGrads: new Float32Array(12) }, { dampingMode: 'factored' }),
  },
  {
    what: 'spectrum as a number',
    code: type,
    message: 'Expected a boolean for spectrum but received 1',
    call: () => recorded().preconditionSync(vector(), { spectrum: untyped(1) }),
  },
  // natural gradients
  {
    what: 'an unknown name of naturalGradientSync',
    code: unknown,
    message:
      "Expected one of inputs, outputGrads, batch, fisherRows, lossGrads, out, applyTo, spectrum for an option of naturalGradientSync but received 'lossgrads'; did you mean 'lossGrads'?",
    call: naturally({ lossgrads: new Float32Array(12) }),
  },
  {
    what: 'an unknown name of naturalGradient',
    code: unknown,
    message:
      "Expected one of inputs, outputGrads, batch, fisherRows, lossGrads, out, applyTo, spectrum, signal for an option of naturalGradient but received 'weights'",
    call: () => new LayerPreconditioner<true>(layer()).naturalGradient(untyped({ ...own(), weights: vector() })),
  },
  {
    what: 'no rows',
    code: type,
    message: 'Expected an options object for the options of naturalGradientSync but received undefined',
    call: () => new LayerPreconditioner<true>(layer()).naturalGradientSync(untyped(undefined)),
  },
  ...(['inputs', 'outputGrads', 'lossGrads'] as const).map(
    (name): Case => ({
      what: `no ${name}`,
      code: missing,
      message: `Expected a Float32Array for ${name} of naturalGradientSync, which has no default, but received undefined`,
      call: naturally({ [name]: undefined }),
    }),
  ),
  {
    what: 'no batch',
    code: missing,
    message:
      'Expected a positive integer for batch of naturalGradientSync, which has no default, but received undefined',
    call: naturally({ batch: undefined }),
  },
  {
    what: 'lossGrads of another length',
    code: shape,
    message:
      'Expected a Float32Array of length 12 (batch 4 × outFeatures 3) for lossGrads but received a Float32Array of length 6',
    call: naturally({ lossGrads: new Float32Array(6) }),
  },
  {
    what: 'lossGrads that have the rows of outputGrads',
    code: shape,
    message:
      'Expected a Float32Array of length 12 (batch 4 × outFeatures 3) for lossGrads but received a Float32Array of length 6',
    call: naturally({ outputGrads: new Float32Array(6), lossGrads: new Float32Array(6), fisherRows: 2 }),
  },
  {
    what: 'lossGrads as number[]',
    code: type,
    message:
      'Expected a Float32Array of length 12 (batch 4 × outFeatures 3) for lossGrads but received an array of length 1',
    call: naturally({ lossGrads: [1] }),
  },
  {
    what: 'detached lossGrads',
    code: buffer,
    message:
      'Expected a Float32Array of length 12 (batch 4 × outFeatures 3) for lossGrads but received one whose buffer was detached',
    call: naturally({ lossGrads: detached(new Float32Array(12)) }),
  },
  {
    what: 'an out of a natural gradient of another length',
    code: shape,
    message: 'Expected a Float32Array of length 3 (outFeatures 3) for out.bias but received a Float32Array of length 4',
    call: naturally({ out: { kernel: new Float32Array(6), bias: new Float32Array(4) } }),
  },
  {
    what: 'out together with applyTo',
    code: value,
    message: 'Expected no out together with applyTo for out but received an object with keys kernel, bias',
    call: naturally({ out: vector(), applyTo: { weights: vector(), learningRate: 0.1 } }),
  },
  {
    what: 'applyTo as an array',
    code: type,
    message: 'Expected an options object for the options of applyTo but received a Float32Array of length 6',
    call: updating(new Float32Array(6)),
  },
  {
    what: 'an unknown name of applyTo',
    code: unknown,
    message: "Expected one of weights, learningRate for an option of applyTo but received 'momentum'",
    call: updating({ weights: vector(), learningRate: 0.1, momentum: 0.9 }),
  },
  {
    what: 'applyTo without weights',
    code: missing,
    message: 'Expected the weights for weights of applyTo, which has no default, but received undefined',
    call: updating({ learningRate: 0.1 }),
  },
  {
    what: 'applyTo without a learning rate',
    code: missing,
    message: 'Expected a number > 0 for learningRate of applyTo, which has no default, but received undefined',
    call: updating({ weights: vector() }),
  },
  ...[0, -0.1, Number.NaN, Number.POSITIVE_INFINITY].map(
    (learningRate): Case => ({
      what: `learningRate ${learningRate}`,
      code: value,
      message: `Expected a finite number > 0 for applyTo.learningRate but received ${learningRate}`,
      call: updating({ weights: vector(), learningRate }),
    }),
  ),
  {
    what: 'learningRate as a string',
    code: type,
    message: "Expected a number > 0 for applyTo.learningRate but received '0.1'",
    call: updating({ weights: vector(), learningRate: '0.1' }),
  },
  {
    what: 'weights without a bias for a layer with one',
    code: type,
    message:
      'Expected { kernel, bias } of a layer with a bias for applyTo.weights but received a Float32Array of length 6',
    call: updating({ weights: new Float32Array(6), learningRate: 0.1 }),
  },
  {
    what: 'weights of another length',
    code: shape,
    message:
      'Expected a Float32Array of length 6 (outFeatures 3 × inFeatures 2) for applyTo.weights.kernel but received a Float32Array of length 9',
    call: updating({ weights: { kernel: new Float32Array(9), bias: new Float32Array(3) }, learningRate: 0.1 }),
  },
  ...(['inputs', 'outputGrads', 'lossGrads'] as const).map(
    (name): Case => ({
      what: `an out that overlaps the ${name} of its own batch`,
      code: overlap,
      message: expect.stringMatching(/^Expected arrays that share no memory with .* for out but received an overlap$/),
      call: () => {
        const batchRows = own();
        const out = { kernel: batchRows[name].subarray(0, 6), bias: new Float32Array(3) };
        return new LayerPreconditioner<true>(layer()).naturalGradientSync({ ...batchRows, out });
      },
    }),
  ),
  {
    what: 'weights that overlap lossGrads',
    code: overlap,
    message: expect.stringContaining('received an overlap'),
    call: () => {
      const batchRows = own();
      const weights = { kernel: new Float32Array(6), bias: batchRows.lossGrads.subarray(9, 12) };
      return new LayerPreconditioner<true>(layer()).naturalGradientSync({
        ...batchRows,
        applyTo: { weights, learningRate: 0.1 },
      });
    },
  },
  ...([Number.NaN, Number.POSITIVE_INFINITY] as const).flatMap((bad): Case[] =>
    (['cg', 'exact', 'auto'] as const).map((method) => ({
      what: `${bad} in lossGrads of '${method}'`,
      code: notFinite,
      message: `Expected finite numbers for lossGrads but received ${bad} at index 4`,
      call: naturally({ lossGrads: spoiled(12, bad, 4) }, { method }),
    })),
  ),
  // every method names the argument that was wrong
  ...([{ method: 'kfac' }, { space: 'weight' }, { dampingMode: 'factored' }, { block: 'sample' }] as const).map(
    (options): Case => ({
      what: `NaN in lossGrads with ${Object.entries(options)}`,
      code: notFinite,
      message: 'Expected finite numbers for lossGrads but received NaN at index 4',
      call: naturally({ lossGrads: spoiled(12, Number.NaN, 4) }, options),
    }),
  ),
  // spectra
  ...[0, -1, Number.NaN, Number.POSITIVE_INFINITY].map(
    (damping): Case => ({
      what: `a spectrum at ${damping}`,
      code: value,
      message: `Expected a finite number > 0 for damping but received ${damping}`,
      call: () => spectrum()?.at(damping),
    }),
  ),
  {
    what: "a spectrum at 'x'",
    code: type,
    message: "Expected a number > 0 for damping but received 'x'",
    call: () => spectrum()?.at(untyped('x')),
  },
  // many layers
  {
    what: 'systems that are no array',
    code: type,
    message: 'Expected an array of { layer, v } for systems but received an object with keys (none)',
    call: () => preconditionAllSync(untyped({})),
  },
  {
    what: 'a system that is no object',
    code: type,
    message: 'Expected an options object for the options of preconditionAllSync, systems[0] but received null',
    call: solvingAll(null),
  },
  {
    what: 'an unknown name of a system',
    code: unknown,
    message: "Expected one of layer, v, out for an option of preconditionAllSync, systems[1] but received 'vector'",
    call: () => solvingAll({ layer: recorded(), v: vector() }, { layer: recorded(), vector: vector() })(),
  },
  {
    what: 'an unknown option of preconditionAll',
    code: unknown,
    message: "Expected one of signal for an option of preconditionAll but received 'out'",
    call: () => preconditionAll([], untyped({ out: [] })),
  },
  {
    what: 'a system without a layer',
    code: missing,
    message:
      'Expected a LayerPreconditioner for layer of preconditionAllSync, systems[0], which has no default, but received undefined',
    call: solvingAll({ v: vector() }),
  },
  {
    what: 'a system without v',
    code: missing,
    message:
      'Expected a right-hand side for v of preconditionAll, systems[0], which has no default, but received undefined',
    call: () => preconditionAll(untyped([{ layer: recorded() }])),
  },
  {
    what: 'a layer that is none',
    code: type,
    message: 'Expected a LayerPreconditioner for systems[0].layer but received an object with keys (none)',
    call: solvingAll({ layer: {}, v: vector() }),
  },
  {
    what: 'a v of a system of another length',
    code: shape,
    message:
      'Expected a Float32Array of length 3 (outFeatures 3) for systems[0].v.bias but received a Float32Array of length 2',
    call: () => solvingAll({ layer: recorded(), v: { kernel: new Float32Array(6), bias: new Float32Array(2) } })(),
  },
  ...([preconditionAll, preconditionAllSync] as const).flatMap((all): Case[] => [
    {
      what: `the same layer twice in ${all.name}`,
      code: value,
      message:
        'Expected a layer that appears once for systems[2].layer but received an instance of LayerPreconditioner',
      call: () => {
        const twice = recorded();
        return all([twice, recorded(), twice].map((each) => ({ layer: each, v: vector() })));
      },
    },
    {
      what: `a layer without a batch in ${all.name}`,
      code: 'ERR_CGFAC_NO_RECORD',
      message: 'Expected a batch from record() for precondition but received none',
      call: () =>
        all([recorded(), new LayerPreconditioner<true>(layer())].map((each) => ({ layer: each, v: vector() }))),
    },
    {
      what: `a disposed layer in ${all.name}`,
      code: 'ERR_CGFAC_DISPOSED',
      message: 'Expected a live LayerPreconditioner for this call but received one that was disposed of',
      call: () => {
        const disposed = recorded();
        disposed.dispose();
        return all([recorded(), disposed].map((each) => ({ layer: each, v: vector() })));
      },
    },
  ]),
  ...([preconditionAll, preconditionAllSync] as const).flatMap((all) =>
    (
      [
        'two outputs that overlap',
        "an output that is a later layer's v",
        "an output that is an earlier layer's v",
      ] as const
    ).map(
      (what): Case => ({
        what: `${what} in ${all.name}`,
        code: overlap,
        message: 'Expected arrays that share no memory with those of another layer for out but received an overlap',
        call: () => {
          const shared = vector();
          const first = what.includes('earlier') ? { v: shared } : { v: vector(), out: shared };
          const second = what.includes('later') ? { v: shared } : { v: vector(), out: shared };
          return all([
            { layer: recorded(), ...first },
            { layer: recorded(), ...second },
          ]);
        },
      }),
    ),
  ),
  // pool threads
  ...[0, 1.5, -1, 1025, Number.NaN].map(
    (threads): Case => ({
      what: `setThreads(${threads})`,
      code: value,
      message: `Expected an integer from 1 to 1024 for threads but received ${threads}`,
      call: () => setThreads(threads),
    }),
  ),
  {
    what: "setThreads('2')",
    code: type,
    message: "Expected an integer from 1 to 1024 for threads but received '2'",
    call: () => setThreads(untyped('2')),
  },
  // state
  {
    what: 'a direction before a batch',
    code: 'ERR_CGFAC_NO_RECORD',
    message: 'Expected a batch from record() for precondition but received none',
    call: () => new LayerPreconditioner<true>(layer()).preconditionSync(vector()),
  },
  ...(['precondition', 'naturalGradient', 'preconditionAll'] as const).flatMap((pending): Case[] =>
    (['preconditionSync', 'naturalGradientSync', 'preconditionAllSync', 'memoryUsage', 'reset'] as const).map(
      (call) => ({
        what: `${call} while ${pending} is pending`,
        code: 'ERR_CGFAC_BUSY',
        message: expect.stringMatching(
          new RegExp(`^Expected no pending .* for ${call}\\(\\) but received 1; await them first$`),
        ),
        call: async () => {
          const preconditioner = recorded();
          const promise = {
            precondition: () => preconditioner.precondition(vector()),
            naturalGradient: () => preconditioner.naturalGradient(own()),
            preconditionAll: () => preconditionAll([{ layer: preconditioner, v: vector() }]),
          }[pending]();
          try {
            return {
              preconditionSync: () => preconditioner.preconditionSync(vector()),
              naturalGradientSync: () => preconditioner.naturalGradientSync(own()),
              preconditionAllSync: () => preconditionAllSync([{ layer: preconditioner, v: vector() }]),
              memoryUsage: () => preconditioner.memoryUsage(),
              reset: () => preconditioner.reset(),
            }[call]();
          } finally {
            await promise;
          }
        },
      }),
    ),
  ),
  ...(
    [
      'record',
      'preconditionSync',
      'precondition',
      'naturalGradientSync',
      'naturalGradient',
      'memoryUsage',
      'reset',
    ] as const
  ).map(
    (method): Case => ({
      what: `${method} after dispose`,
      code: 'ERR_CGFAC_DISPOSED',
      message: 'Expected a live LayerPreconditioner for this call but received one that was disposed of',
      call: () => {
        const preconditioner = recorded();
        preconditioner.dispose();
        preconditioner.dispose(); // twice is fine
        return preconditioner[method](
          untyped(method === 'record' ? rows() : method.startsWith('natural') ? own() : vector()),
        );
      },
    }),
  ),
  // Preconditioner
  ...combinations.map(
    ([options, message]): Case => ({
      what: `a network with ${JSON.stringify(options)}`,
      code: value,
      message,
      call: networking(options),
    }),
  ),
  ...(
    [
      [
        { lossReduction: undefined },
        missing,
        "Expected 'sum' or 'mean' for lossReduction of Preconditioner, which has no default, but received undefined",
      ],
      [
        { learningRateSchedule: 'linear' },
        missing,
        "Expected a positive integer for totalSteps of Preconditioner with learningRateSchedule 'linear' but received undefined",
      ],
      [{ weightDecay: 0.1 }, missing, "Expected the weights of layer 'layer' for weightDecay but received undefined"],
      [
        { dampng: 1 },
        unknown,
        expect.stringMatching(
          /^Expected one of lossReduction, .*trustRegion.* for an option of Preconditioner but received 'dampng'; did you mean 'damping'\?$/,
        ),
      ],
      [
        { trustRegion: {}, dampingMode: 'tikhonov' },
        missing,
        'Expected a number > 0 for kl of trustRegion, which has no default, but received undefined',
      ],
      [
        { trustRegion: { kl: 0 }, dampingMode: 'tikhonov' },
        value,
        'Expected a finite number > 0 for trustRegion.kl but received 0',
      ],
      [
        { trustRegion: { kl: 1, norm: 2 }, dampingMode: 'tikhonov' },
        unknown,
        "Expected one of kl for an option of trustRegion but received 'norm'",
      ],
      [
        { trustRegion: 1, dampingMode: 'tikhonov' },
        type,
        'Expected an options object for the options of trustRegion but received 1',
      ],
      [{ adaptiveDamping: 1 }, type, 'Expected a boolean for adaptiveDamping but received 1'],
      [
        { preset: 'quick' },
        value,
        "Expected 'safe' or 'reconstruction' or 'image-classifier' for preset but received 'quick'",
      ],
      [{ momentum: 1 }, value, 'Expected a number ≥ 0 and < 1 for momentum but received 1'],
      [{ momentum: '0.5' }, type, "Expected a number ≥ 0 and < 1 for momentum but received '0.5'"],
      [{ emaMomentum: -0.1 }, value, 'Expected a number ≥ 0 and < 1 for emaMomentum but received -0.1'],
      [{ factorDecay: 1 }, value, 'Expected a number ≥ 0 and < 1 for factorDecay but received 1'],
      [{ fisherFraction: 0 }, value, 'Expected a number > 0 and ≤ 1 for fisherFraction but received 0'],
      [{ learningRate: 0 }, value, 'Expected a finite number > 0 for learningRate but received 0'],
      [{ weightDecay: -1 }, value, 'Expected a finite number ≥ 0 for weightDecay but received -1'],
      [{ factorUpdateSteps: 0 }, value, 'Expected a positive integer below 2^31 for factorUpdateSteps but received 0'],
      [
        { accumulationSteps: 1.5 },
        value,
        'Expected a positive integer below 2^31 for accumulationSteps but received 1.5',
      ],
      [{ seed: -1 }, value, 'Expected an integer from 0 to 2^53 - 1 for seed but received -1'],
      [
        { skipLayers: 'first' },
        type,
        "Expected an array of names and regular expressions for skipLayers but received 'first'",
      ],
      [{ skipLayers: [1] }, type, 'Expected a name or a regular expression for skipLayers[0] but received 1'],
      [
        { damping: { relative: -1 } },
        value,
        'Expected a number > 0 in the range of float32 for damping.relative but received -1',
      ],
    ] as const
  ).map(
    ([options, code, message]): Case => ({
      what: `a network with ${JSON.stringify(options)}`,
      code,
      message: message as string,
      call: networking(options),
    }),
  ),
  {
    what: 'a layer without its shape',
    code: missing,
    message:
      'Expected a positive integer for outFeatures of registerDense, which has no default, but received undefined',
    call: networking({}, { outFeatures: undefined }),
  },
  {
    what: 'a name that is taken',
    code: value,
    message: "Expected a name that is not taken for the name of a layer but received 'layer'",
    call: () => networking({})().registerDense('layer', { inFeatures, outFeatures }),
  },
  {
    what: 'weights of another length',
    code: shape,
    message:
      'Expected a Float32Array of length 6 (outFeatures 3 × inFeatures 2) for weights but received a Float32Array of length 5',
    call: networking({}, { bias: false, weights: new Float32Array(5) }),
  },
  {
    what: 'rows of an unknown layer',
    code: value,
    message: "Expected the name of a registered layer for the layer but received 'other'",
    call: () => networking({})().record('other', batchRows()),
  },
  {
    what: 'rows that are no multiple of the batch',
    code: shape,
    message:
      'Expected a Float32Array of length 6 (rows 3 × inFeatures 2) for inputs but received a Float32Array of length 8',
    call: stepping({ loss: 1 }, { batch: 3 }),
  },
  {
    what: 'sampled rows of another length',
    code: shape,
    message:
      'Expected a Float32Array of length 6 (rows 2 × outFeatures 3) for outputGrads but received a Float32Array of length 7',
    call: () => networking({})().recordFisher('layer', { outputGrads: new Float32Array(7), batch: 2 }),
  },
  {
    what: 'a polyak step without a loss',
    code: missing,
    message:
      "Expected the loss for naturalGradientsSync with stepRule 'polyak' but received undefined; give { loss }, or another stepRule",
    call: stepping({}),
  },
  {
    what: 'a loss as text',
    code: type,
    message: "Expected a number for loss but received '1'",
    call: stepping({ loss: '1' }),
  },
  {
    what: 'a signal for a synchronous step',
    code: unknown,
    message: "Expected one of loss, lossFloor for an option of naturalGradientsSync but received 'signal'",
    call: stepping({ loss: 1, signal: AbortSignal.abort() }),
  },
  {
    what: 'a signal that is none',
    code: type,
    message: 'Expected an AbortSignal for signal but received 1',
    call: stepping({ loss: 1, signal: 1 }, {}, 'naturalGradients'),
  },
  {
    what: 'a step without rows',
    code: 'ERR_CGFAC_NO_RECORD',
    message: 'Expected recorded rows for naturalGradientsSync but received none',
    call: () => networking({})().naturalGradientsSync({ loss: 1 }),
  },
  {
    what: 'a reported loss without a step',
    code: value,
    message: 'Expected a step that was taken with a loss before reportLoss(), once for each, but received none',
    call: () => networking({})().reportLoss(1),
  },
];

const caught = async (call: () => unknown): Promise<unknown> => {
  try {
    await call();
  } catch (error) {
    return error;
  }
  return undefined;
};

test.each(table)('$what', async ({ code, message, call }) => {
  const error = await caught(call);
  expect(error).toBeInstanceOf(CgfacError);
  expect(error).toMatchObject({ name: 'CgfacError', code, message });
});

describe('a refused call changes nothing', () => {
  const bad = () => ({ kernel: spoiled(6, Number.NaN, 0), bias: new Float32Array(3) });

  test('out keeps its contents', async () => {
    const out = vector(7);
    const before = structuredClone(out);
    const solver = new ConjugateGradient();
    const calls = [
      () => operator().applySync(bad(), { out }),
      () => operator().apply(bad(), { out }),
      () => solver.solveSync(operator(), bad(), { out }),
      () => solver.solve(operator(), bad(), { out }),
      () => recorded().preconditionSync(bad(), { out }),
      () => recorded().precondition(bad(), { out }),
    ];
    for (const call of calls) {
      expect(await caught(call)).toMatchObject({ code: notFinite });
      expect(out).toEqual(before);
    }
  });

  test('out and weights of a natural gradient keep theirs, and the layer its batch and previous solution', async () => {
    for (const wrong of [
      { lossGrads: spoiled(12, Number.NaN, 0) },
      { inputs: spoiled(8, Number.NaN, 0) },
      { lossGrads: new Float32Array(3) },
    ]) {
      const out = vector(7);
      const spoiledLayer = recorded();
      const cleanLayer = recorded();
      expect(spoiledLayer.preconditionSync(vector())).toEqual(cleanLayer.preconditionSync(vector()));
      for (const options of [{ out }, { applyTo: { weights: out, learningRate: 0.5 } }]) {
        expect(await caught(() => spoiledLayer.naturalGradientSync({ ...own(), ...wrong, ...options }))).toBeInstanceOf(
          CgfacError,
        );
        expect(await caught(() => spoiledLayer.naturalGradient({ ...own(), ...wrong, ...options }))).toBeInstanceOf(
          CgfacError,
        );
        expect(out).toEqual(vector(7));
      }
      expect(spoiledLayer.preconditionSync(vector())).toEqual(cleanLayer.preconditionSync(vector()));
    }
  });

  test('no layer of a list is touched where one is refused before the start', async () => {
    const first = recorded();
    const clean = recorded();
    const out = vector(7);
    const refused = [
      { layer: first, v: vector(), out },
      { layer: recorded(), v: vector(), out },
    ];
    expect(await caught(() => preconditionAllSync(refused))).toMatchObject({ code: overlap });
    for (const all of [preconditionAll, preconditionAllSync]) {
      const unrecorded = { layer: new LayerPreconditioner<true>(layer()), v: vector() };
      expect(await caught(() => all([{ layer: first, v: vector(), out }, unrecorded]))).toMatchObject({
        code: 'ERR_CGFAC_NO_RECORD',
      });
    }
    expect(out).toEqual(vector(7));
    expect(first.preconditionSync(vector())).toEqual(clean.preconditionSync(vector())); // no previous solution either
  });

  test('an abort at once wins over a natural gradient', async () => {
    const controller = new AbortController();
    const pending = recorded().naturalGradient({ ...own(), signal: controller.signal });
    controller.abort();
    expect(await caught(() => pending)).toMatchObject({ name: 'AbortError' });
  });

  test('a layer keeps its batch and its previous solution', async () => {
    const spoiledLayer = recorded();
    const cleanLayer = recorded();
    expect(spoiledLayer.preconditionSync(vector())).toEqual(cleanLayer.preconditionSync(vector()));
    expect(await caught(() => spoiledLayer.record({ ...rows(), inputs: spoiled(8, Number.NaN, 0) }))).toMatchObject({
      code: notFinite,
    });
    expect(await caught(() => spoiledLayer.preconditionSync(bad()))).toMatchObject({ code: notFinite });
    expect(await caught(() => spoiledLayer.precondition(bad()))).toMatchObject({ code: notFinite });
    expect(spoiledLayer.preconditionSync(vector())).toEqual(cleanLayer.preconditionSync(vector()));
  });

  test('rejections carry the same errors as throws', async () => {
    const sync = await caught(() => operator().applySync(bad()));
    const async = await caught(() => operator().apply(bad()));
    expect(async).toBeInstanceOf(CgfacError);
    expect((async as CgfacError).message).toBe((sync as CgfacError).message);
  });
});
