// What Preconditioner refuses.
import { Preconditioner, type PreconditionerOptions } from 'cgfac';
import { batch, type Case, codes, inFeatures, outFeatures, rows, testRefusals, untyped } from '../../support/refusals';

const { type, value, shape, missing, unknown } = codes;

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
        `Expected 'cg', 'exact' or 'auto' with factorHistory '${factorHistory}' (direct K-FAC's factors are dense ` +
          "running averages) for method but received 'kfac'",
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
    "Expected stepRule 'auto', 'polyak' or 'quadratic' with the option polyakFraction but received 'fixed'",
  ],
  [{ klClip: 1, stepRule: 'polyak' }, "Expected stepRule 'kl-clip' with the option klClip but received 'polyak'"],
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
    "Expected method 'exact' with dampingMode 'tikhonov' with the option trustRegion but received 'exact' with " +
      "'factored'",
  ],
  [
    { trustRegion: { kl: 1 }, method: 'kfac' },
    "Expected method 'exact' with dampingMode 'tikhonov' with the option trustRegion but received 'kfac' with " +
      "'tikhonov'",
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
    "Expected stepRule 'auto', 'polyak' or 'quadratic' with the option adaptiveFraction but received 'fixed'",
  ],
  [
    { adaptiveFraction: true, adaptiveDamping: true },
    'Expected no adaptiveDamping with the option adaptiveFraction but received both',
  ],
];

const table: Case[] = [
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
        "Expected a positive integer for totalSteps of Preconditioner with learningRateSchedule 'linear' but " +
          'received undefined',
      ],
      [{ weightDecay: 0.1 }, missing, "Expected the weights of layer 'layer' for weightDecay but received undefined"],
      [
        { dampng: 1 },
        unknown,
        expect.stringMatching(
          /^Expected one of lossReduction, .*trustRegion.* but received 'dampng'; did you mean 'damping'\?$/,
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
        "Expected 'adaptive' or 'safe' or 'reconstruction' or 'image-classifier' for preset but received 'quick'",
      ],
      [{ momentum: 1 }, value, 'Expected a number ≥ 0 and < 1 for momentum but received 1'],
      [{ momentum: '0.5' }, type, "Expected a number ≥ 0 and < 1 for momentum but received '0.5'"],
      [{ emaMomentum: -0.1 }, value, 'Expected a number ≥ 0 and < 1 for emaMomentum but received -0.1'],
      [{ factorDecay: 1 }, value, 'Expected a number ≥ 0 and < 1 for factorDecay but received 1'],
      [{ fisherFraction: 0 }, value, 'Expected a number > 0 and ≤ 1 for fisherFraction but received 0'],
      [{ learningRate: -1 }, value, 'Expected a finite number ≥ 0 for learningRate but received -1'],
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
      'Expected a Float32Array of length 6 (outFeatures 3 × inFeatures 2) for weights but received a Float32Array ' +
      'of length 5',
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
      'Expected a Float32Array of length 6 (rows 2 × outFeatures 3) for outputGrads but received a Float32Array of ' +
      'length 7',
    call: () => networking({})().recordFisher('layer', { outputGrads: new Float32Array(7), batch: 2 }),
  },
  {
    what: 'a polyak step without a loss',
    code: missing,
    message:
      "Expected the loss for naturalGradientsSync with stepRule 'polyak' but received undefined; give { loss }, or " +
      'another stepRule',
    call: stepping({}),
  },
  {
    what: 'a loss as text',
    code: type,
    message: "Expected a number for loss but received '1'",
    call: stepping({ loss: '1' }),
  },
  {
    what: 'a share of the curvature above 1',
    code: value,
    message: 'Expected a number from 0 to 1 for assumedCurvature but received 1.5',
    call: stepping({ loss: 1, assumedCurvature: 1.5 }),
  },
  {
    what: 'a share of the curvature that is no number',
    code: value,
    message: 'Expected a number from 0 to 1 for assumedCurvature but received NaN',
    call: stepping({ loss: 1, assumedCurvature: Number.NaN }),
  },
  {
    what: 'a share of the curvature as text',
    code: type,
    message: "Expected a number from 0 to 1 for assumedCurvature but received '1'",
    call: stepping({ loss: 1, assumedCurvature: '1' }),
  },
  {
    what: 'a signal for a synchronous step',
    code: unknown,
    message:
      'Expected one of loss, lossFloor, assumedFloor, assumedCurvature, targets, stepSize, samples, weightNorms, ' +
      "depths, weightDecay, gradients for an option of naturalGradientsSync but received 'signal'",
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

testRefusals(table);
