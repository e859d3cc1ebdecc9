// What is refused of natural gradients and of updates in place.
import { LayerPreconditioner } from 'cgfac';
import {
  type Case,
  codes,
  detached,
  layer,
  naturally,
  own,
  spoiled,
  testRefusals,
  untyped,
  vector,
} from '../../../support/refusals';

const { type, value, shape, missing, unknown, notFinite, buffer, overlap } = codes;

const updating = (applyTo: unknown) => naturally({ applyTo });

const table: Case[] = [
  // natural gradients
  {
    what: 'an unknown name of naturalGradientSync',
    code: unknown,
    message:
      'Expected one of inputs, outputGrads, batch, fisherRows, lossGrads, out, applyTo, spectrum for an option of ' +
      "naturalGradientSync but received 'lossgrads'; did you mean 'lossGrads'?",
    call: naturally({ lossgrads: new Float32Array(12) }),
  },
  {
    what: 'an unknown name of naturalGradient',
    code: unknown,
    message:
      'Expected one of inputs, outputGrads, batch, fisherRows, lossGrads, out, applyTo, spectrum, signal for an ' +
      "option of naturalGradient but received 'weights'",
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
      message:
        `Expected a Float32Array for ${name} of naturalGradientSync, ` +
        `which has no default, but received ${undefined}`,
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
      'Expected a Float32Array of length 12 (batch 4 × outFeatures 3) for lossGrads but received a Float32Array of ' +
      'length 6',
    call: naturally({ lossGrads: new Float32Array(6) }),
  },
  {
    what: 'lossGrads that have the rows of outputGrads',
    code: shape,
    message:
      'Expected a Float32Array of length 12 (batch 4 × outFeatures 3) for lossGrads but received a Float32Array of ' +
      'length 6',
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
      'Expected a Float32Array of length 12 (batch 4 × outFeatures 3) for lossGrads but received one whose buffer ' +
      'was detached',
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
      'Expected a Float32Array of length 6 (outFeatures 3 × inFeatures 2) for applyTo.weights.kernel but received ' +
      'a Float32Array of length 9',
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
];

testRefusals(table);
