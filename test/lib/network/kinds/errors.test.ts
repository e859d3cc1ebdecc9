// What layers of kinds other than the dense one refuse: at their registration, of rows, and of steps.
import { Preconditioner, type PreconditionerOptions } from 'cgfac';
import { type Case, codes, testRefusals, untyped } from '../../../support/refusals';

const { type, value, shape, missing, unknown } = codes;
const noRecord = 'ERR_CGFAC_NO_RECORD';

type Register =
  | 'registerConv2d'
  | 'registerConv3d'
  | 'registerConv2dTranspose'
  | 'registerDepthwiseConv2d'
  | 'registerEmbedding'
  | 'registerScaleShift';

/** Options of a small layer of each kind. */
const good = {
  registerConv2d: { inputShape: [4, 3, 2], kernelSize: [2, 2], filters: 3 },
  registerConv3d: { inputShape: [2, 4, 3, 2], kernelSize: [2, 2, 2], filters: 3 },
  registerConv2dTranspose: { inputShape: [4, 3, 2], kernelSize: [2, 2], filters: 3 },
  registerDepthwiseConv2d: { inputShape: [4, 3, 2], kernelSize: [2, 2] },
  registerEmbedding: { inputDim: 5, outputDim: 3 },
  registerScaleShift: { features: 3 },
} as const;

const network = () =>
  new Preconditioner({ lossReduction: 'sum', stepRule: 'fixed', useEma: false } as PreconditionerOptions);

/** A network of one layer of a kind, with some options. */
function registered(register: Register, options: object = {}) {
  const preconditioner = network();
  const call: (name: string, options: never) => boolean = preconditioner[register].bind(preconditioner);
  call('layer', untyped({ ...good[register], ...options }));
  return preconditioner;
}

const zeros = (length: number) => new Float32Array(length);
const batch = 2;

/** Rows of a batch of two samples. */
const rows = {
  registerConv2d: { inputs: zeros(2 * 24).fill(1), lossGrads: zeros(2 * 18).fill(1), batch },
  registerConv3d: { inputs: zeros(2 * 48).fill(1), lossGrads: zeros(2 * 18).fill(1), batch },
  registerConv2dTranspose: { inputs: zeros(2 * 24).fill(1), lossGrads: zeros(2 * 60).fill(1), batch },
  registerDepthwiseConv2d: { inputs: zeros(2 * 24).fill(1), lossGrads: zeros(2 * 12).fill(1), batch },
  registerEmbedding: { inputs: Int32Array.of(0, 1, 4, 4), lossGrads: zeros(4 * 3).fill(1), batch },
  registerScaleShift: { inputs: zeros(4 * 3).fill(1), lossGrads: zeros(4 * 3).fill(1), batch },
} as const;

const kinds = Object.keys(good) as Register[];
const convolutions = kinds.slice(0, 4);

type Row = readonly [what: string, code: Case['code'], message: string, call: () => unknown];

const registrations: readonly Row[] = [
  ...kinds.map((register): Row => {
    const [name = ''] = Object.keys(good[register]);
    const words = name === 'inputShape' ? 'an array of positive integers' : 'a positive integer';
    return [
      `${register} without ${name}`,
      missing,
      `Expected ${words} for ${name} of ${register}, which has no default, but received undefined`,
      () => registered(register, { [name]: undefined }),
    ];
  }),
  ...convolutions.flatMap((register): Row[] => {
    const [axes, other] = register === 'registerConv3d' ? [4, [4, 3, 2]] : [3, [4, 3]];
    const kernel = good[register as 'registerConv2d'].kernelSize.length;
    return [
      [
        `${register}: data without channels`,
        type,
        `Expected ${axes} positive integers for inputShape but received an array of length ${axes - 1}`,
        () => registered(register, { inputShape: other }),
      ],
      [
        `${register}: an extent of 0`,
        value,
        'Expected a positive integer below 2^31 for inputShape[0] but received 0',
        () => registered(register, { inputShape: [0, ...good[register as 'registerConv2d'].inputShape.slice(1)] }),
      ],
      [
        `${register}: a number for kernelSize`,
        type,
        `Expected ${kernel} positive integers for kernelSize but received 3`,
        () => registered(register, { kernelSize: 3 }),
      ],
      [
        `${register}: half a stride`,
        value,
        'Expected a positive integer below 2^31 for strides[1] but received 0.5',
        () => registered(register, { strides: [1, 0.5, 1].slice(0, kernel) }),
      ],
      [
        `${register}: no dilation`,
        value,
        'Expected a positive integer below 2^31 for dilations[0] but received 0',
        () => registered(register, { dilations: [0, 1, 1].slice(0, kernel) }),
      ],
      [
        `${register}: a padding that is none`,
        value,
        "Expected 'valid' or 'same' for padding but received 'causal'",
        () => registered(register, { padding: 'causal' }),
      ],
      [
        `${register}: zeros of one axis alone`,
        type,
        'Expected the zeros [before, behind] of each axis for padding[1] but received undefined',
        () => registered(register, { padding: [[1, 1]] }),
      ],
      [
        `${register}: no rows at all`,
        value,
        'Expected a positive integer below 2^31 for maxRows but received 0',
        () => registered(register, { maxRows: 0 }),
      ],
      [
        `${register}: a sharing that is none`,
        value,
        "Expected 'expand' or 'reduce' for weightSharing but received 'sum'",
        () => registered(register, { weightSharing: 'sum' }),
      ],
    ];
  }),
  ...(['registerConv2d', 'registerDepthwiseConv2d'] as const).map(
    (register): Row => [
      `${register}: a kernel that is larger than the data`,
      value,
      'Expected a window that the data of 4×3 holds for kernelSize but received 2×4',
      () => registered(register, { kernelSize: [2, 4] }),
    ],
  ),
  [
    'a kernel that its dilation makes larger than the data',
    value,
    'Expected a window that the data of 4×3 holds for kernelSize but received 3×2 with dilations 2×1',
    () => registered('registerConv2d', { kernelSize: [3, 2], dilations: [2, 1] }),
  ],
  [
    'a transposed convolution with a bias',
    value,
    'Expected false (a bias is registered by registerDiagonal) for bias but received true',
    () => registered('registerConv2dTranspose', { bias: true }),
  ],
  [
    'an output that the data does not reach',
    value,
    'Expected an output of as many windows as the data has positions, 4×3, for outputShape but received 9×6 of 5×3 windows',
    () => registered('registerConv2dTranspose', { strides: [2, 2], padding: 'same', outputShape: [9, 6] }),
  ],
  [
    'a misspelt option',
    unknown,
    'Expected one of inputShape, filters, bias, kernelSize, strides, dilations, padding, weightSharing, maxRows, ' +
      "weights, recurrent, output for an option of registerConv2d but received 'stride'; did you mean 'strides'?",
    () => registered('registerConv2d', { stride: [1, 1] }),
  ],
  [
    'half an output of a channel',
    value,
    'Expected a positive integer below 2^31 for depthMultiplier but received 0.5',
    () => registered('registerDepthwiseConv2d', { depthMultiplier: 0.5 }),
  ],
  [
    'ids that float32 does not tell apart',
    value,
    'Expected no more than 16777216 for inputDim but received 16777217',
    () => registered('registerEmbedding', { inputDim: 2 ** 24 + 1 }),
  ],
  [
    'a mask that is a number',
    type,
    'Expected a boolean for maskZero but received 1',
    () => registered('registerEmbedding', { maskZero: 1 }),
  ],
  [
    'a table with a bias',
    unknown,
    'Expected one of inputDim, outputDim, maskZero, weights, recurrent, output for an option of registerEmbedding ' +
      "but received 'bias'",
    () => registered('registerEmbedding', { bias: true }),
  ],
  [
    'weights of another length',
    shape,
    'Expected a Float32Array of length 24 (outFeatures 3 × inFeatures 8) for weights.kernel but received a ' +
      'Float32Array of length 23',
    () => registered('registerConv2d', { weights: { kernel: zeros(23), bias: zeros(3) } }),
  ],
];

const recording = (register: Register, given: object) => () =>
  registered(register).record('layer', untyped({ ...rows[register], ...given }));
const sampling = (register: Register, outputGrads: unknown, samples = batch) => {
  const preconditioner = registered(register);
  return () => preconditioner.recordFisher('layer', untyped({ outputGrads, batch: samples }));
};

const batches: readonly Row[] = [
  [
    'samples of another size',
    shape,
    'Expected a Float32Array of length 48 (rows 2 × 1 × 4 × 3 × 2) for inputs but received a Float32Array of length 50',
    recording('registerConv2d', { inputs: zeros(50) }),
  ],
  [
    'gradients of some positions alone',
    shape,
    'Expected a Float32Array of length 36 (rows 2 × 6 positions × 3 channels) for lossGrads but received a ' +
      'Float32Array of length 30',
    recording('registerConv2d', { lossGrads: zeros(30) }),
  ],
  [
    'sampled gradients of no whole number of samples',
    shape,
    'Expected a Float32Array of length 36 (rows 2 × 6 positions × 3 channels) for outputGrads but received a ' +
      'Float32Array of length 40',
    sampling('registerConv2d', zeros(40)),
  ],
  [
    'data of a transposed convolution as that of a plain one',
    shape,
    'Expected a Float32Array of length 48 (rows 2 × 12 positions × 2 channels) for inputs but received a ' +
      'Float32Array of length 36',
    recording('registerConv2dTranspose', { inputs: zeros(36) }),
  ],
  [
    'gradients of a transposed convolution at its input',
    shape,
    'Expected a Float32Array of length 120 (rows 2 × an output of 60 numbers) for lossGrads but received a ' +
      'Float32Array of length 48',
    recording('registerConv2dTranspose', { lossGrads: zeros(48) }),
  ],
  [
    'ids as numbers',
    type,
    'Expected an Int32Array of ids for inputs but received a Float32Array of length 4',
    recording('registerEmbedding', { inputs: Float32Array.of(0, 1, 2, 3) }),
  ],
  [
    'an id beyond the table',
    value,
    'Expected an id from 0 to 4 for inputs[2] but received 5',
    recording('registerEmbedding', { inputs: Int32Array.of(0, 1, 5, 3) }),
  ],
  [
    'an id below it',
    value,
    'Expected an id from 0 to 4 for inputs[0] but received -1',
    recording('registerEmbedding', { inputs: Int32Array.of(-1, 1, 2, 3) }),
  ],
  [
    'ids of half a sample',
    shape,
    'Expected as many ids for each of 2 samples for inputs but received a Int32Array of length 3',
    recording('registerEmbedding', { inputs: Int32Array.of(0, 1, 2) }),
  ],
  [
    'gradients of fewer ids',
    shape,
    'Expected a Float32Array of length 12 (rows 4 × outputDim 3) for lossGrads but received a Float32Array of length 9',
    recording('registerEmbedding', { lossGrads: zeros(9) }),
  ],
  [
    'normalised rows of half a sample',
    shape,
    'Expected a Float32Array of length 6 (rows 2 × features 3) for inputs but received a Float32Array of length 9',
    recording('registerScaleShift', { inputs: zeros(9) }),
  ],
  ...kinds.flatMap((register): Row[] => [
    [
      `${register}: rows without inputs`,
      missing,
      `Expected ${register === 'registerEmbedding' ? 'an Int32Array' : 'a Float32Array'} for inputs of record, ` +
        'which has no default, but received undefined',
      recording(register, { inputs: undefined }),
    ],
    [
      `${register}: lossGrads of some rows alone`,
      value,
      'Expected lossGrads with all rows of a step, or with none for lossGrads but received undefined',
      () => {
        const preconditioner = registered(register);
        preconditioner.record('layer', rows[register]);
        preconditioner.record('layer', untyped({ ...rows[register], lossGrads: undefined }));
      },
    ],
  ]),
];

/** A layer that has recorded inputs alone. */
const withInputs = (register: Register) => {
  const preconditioner = registered(register);
  preconditioner.record('layer', untyped({ ...rows[register], lossGrads: undefined }));
  return preconditioner;
};
const vectors = {
  registerConv2d: { kernel: zeros(24).fill(1), bias: zeros(3) },
  registerConv3d: { kernel: zeros(48).fill(1), bias: zeros(3) },
  registerConv2dTranspose: zeros(24).fill(1),
  registerDepthwiseConv2d: { kernel: zeros(8).fill(1), bias: zeros(2) },
  registerEmbedding: zeros(15).fill(1),
  registerScaleShift: { kernel: zeros(3).fill(1), bias: zeros(3) },
};

const steps: readonly Row[] = [
  [
    'another size of the data with rows of the old one',
    shape,
    'Expected samples of one size in a step for inputs but received two sizes',
    () => {
      const preconditioner = withInputs('registerConv2d');
      preconditioner.resize('layer', { inputShape: [5, 5, 2] });
    },
  ],
  [
    'another size of what has none',
    value,
    "Expected the name of a convolution for the layer but received 'layer'",
    () => registered('registerEmbedding').resize('layer', { inputShape: [5, 5, 2] }),
  ],
  [
    'another number of channels',
    value,
    'Expected a size with as many channels as before for inputShape but received 3',
    () => registered('registerConv2d').resize('layer', { inputShape: [5, 5, 3] }),
  ],
  ...kinds.flatMap((register): Row[] => [
    [
      `${register}: a step of rows without lossGrads, and without a gradient`,
      noRecord,
      "Expected lossGrads, or a gradient, of layer 'layer' for naturalGradientsSync but received none",
      () => withInputs(register).naturalGradientsSync(),
    ],
    [
      `${register}: a step of rows without lossGrads, and without sampled ones`,
      noRecord,
      "Expected lossGrads, or outputGrads of recordFisher, of layer 'layer' for naturalGradientsSync but received none",
      () => withInputs(register).naturalGradientsSync({ gradients: { layer: vectors[register] } }),
    ],
    [
      `${register}: a step of a gradient, without factors`,
      noRecord,
      "Expected recorded rows of layer 'layer' for stepSync but received none",
      () => registered(register).stepSync({ layer: vectors[register] }),
    ],
  ]),
  [
    'sampled gradients of a scale and shift that are of more samples than its rows',
    shape,
    'Expected gradients of the first samples of the recorded inputs for outputGrads but received others',
    () => {
      const preconditioner = registered('registerScaleShift');
      preconditioner.record('layer', rows.registerScaleShift);
      preconditioner.recordFisher('layer', { outputGrads: zeros(18).fill(1), batch: 3 });
      preconditioner.naturalGradientsSync();
    },
  ],
];

testRefusals(
  [...registrations, ...batches, ...steps].map(([what, code, message, call]) => ({ what, code, message, call })),
);

it('a registration that is refused leaves no layer behind', () => {
  const preconditioner = network();
  expect(() => preconditioner.registerConv2d('layer', { ...good.registerConv2d, kernelSize: [9, 9] })).toThrow();
  expect(preconditioner.report().layers).toEqual([]);
  expect(preconditioner.registerConv2d('layer', good.registerConv2d)).toBe(true);
});

it.each(kinds)('%s: rows that are refused leave those that are there', (register) => {
  const step = (spoil: boolean) => {
    const preconditioner = registered(register);
    preconditioner.record('layer', rows[register]);
    const refused = () => preconditioner.record('layer', untyped({ ...rows[register], inputs: zeros(1) }));
    if (spoil) expect(refused).toThrow();
    return preconditioner.naturalGradientsSync().updates;
  };
  expect(step(true)).toEqual(step(false));
});

it('a step that fails for its rows forgets them, and leaves the layer to another one', () => {
  const step = (spoil: boolean) => {
    const preconditioner = registered('registerScaleShift');
    if (spoil) {
      preconditioner.record('layer', rows.registerScaleShift);
      preconditioner.recordFisher('layer', { outputGrads: zeros(18).fill(1), batch: 3 });
      expect(() => preconditioner.naturalGradientsSync()).toThrow(expect.objectContaining({ code: shape }));
    }
    preconditioner.record('layer', rows.registerScaleShift);
    return preconditioner.naturalGradientsSync().updates;
  };
  expect(step(true)).toEqual(step(false));
});
