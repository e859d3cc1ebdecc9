// What layers of kinds other than the dense one refuse at their registration.
import {
  convolutions,
  good,
  kinds,
  network,
  type Row,
  registered,
  testRows,
  zeros,
} from '../../../../support/kind-refusals';
import { codes } from '../../../../support/refusals';

const { type, value, shape, missing, unknown } = codes;

testRows([
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
    'Expected an output of as many windows as the data has positions, 4×3, for outputShape but received 9×6 of 5×3 ' +
      'windows',
    () => registered('registerConv2dTranspose', { strides: [2, 2], padding: 'same', outputShape: [9, 6] }),
  ],
  [
    'a misspelt option',
    unknown,
    'Expected one of inputShape, filters, bias, kernelSize, strides, dilations, padding, weightSharing, maxRows, ' +
      'weights, recurrent, attended, judged, output for an option of registerConv2d but received ' +
      "'stride'; did you mean 'strides'?",
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
    'Expected one of inputDim, outputDim, maskZero, weights, recurrent, attended, judged, output for an option of ' +
      "registerEmbedding but received 'bias'",
    () => registered('registerEmbedding', { bias: true }),
  ],
  [
    'weights of another length',
    shape,
    'Expected a Float32Array of length 24 (outFeatures 3 × inFeatures 8) for weights.kernel but received a ' +
      'Float32Array of length 23',
    () => registered('registerConv2d', { weights: { kernel: zeros(23), bias: zeros(3) } }),
  ],
]);

it('a registration that is refused leaves no layer behind', () => {
  const preconditioner = network();
  expect(() => preconditioner.registerConv2d('layer', { ...good.registerConv2d, kernelSize: [9, 9] })).toThrow();
  expect(preconditioner.report().layers).toEqual([]);
  expect(preconditioner.registerConv2d('layer', good.registerConv2d)).toBe(true);
});
