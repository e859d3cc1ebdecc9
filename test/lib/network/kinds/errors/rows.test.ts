// What layers of kinds other than the dense one refuse of rows and of steps.
import {
  batch,
  kinds,
  type Register,
  type Row,
  registered,
  rows,
  testRows,
  zeros,
} from '../../../../support/kind-refusals';
import { codes, untyped } from '../../../../support/refusals';

const { type, value, shape, missing } = codes;
const noRecord = 'ERR_CGFAC_NO_RECORD';

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

testRows([...batches, ...steps]);

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
