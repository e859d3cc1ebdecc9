// What is refused: values that an option cannot have, options that are missing, and options that do not exist.
import { ConjugateGradient, FisherOperator } from 'cgfac';
import {
  applying,
  type Case,
  codes,
  constructing,
  layer,
  layering,
  recording,
  rows,
  testRefusals,
  untyped,
  vector,
} from '../../../support/refusals';

const { type, value, missing, unknown } = codes;

const table: Case[] = [
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
    message: "Expected 'auto' or 'weight' or 'gram' for space but received 'grams'; did you mean 'gram'?",
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
      'Expected a number > 0 or { relative } for damping of LayerPreconditioner, which has no default, but ' +
      'received undefined',
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
      'Expected one of inFeatures, outFeatures, bias, damping, lossReduction, kernelLayout, inputs, outputGrads, ' +
      "batch, fisherRows for an option of FisherOperator but received 'dampening'; did you mean 'damping'?",
    call: constructing({ dampening: 1 }),
  },
  {
    what: 'an unknown option of a layer',
    code: unknown,
    message:
      'Expected one of inFeatures, outFeatures, bias, damping, lossReduction, kernelLayout, maxIterations, ' +
      'tolerance, space, warmStart, factorUpdateSteps, inverseUpdateSteps, factorDecay, method, dampingMode, block, ' +
      "factorHistory, rank, panelRows for an option of LayerPreconditioner but received 'warmstart'; did you mean " +
      "'warmStart'?",
    call: layering({ warmstart: 'none' }),
  },
  {
    what: 'an unknown option of a solver',
    code: unknown,
    message:
      'Expected one of maxIterations, tolerance, space, history for an option of ConjugateGradient but received ' +
      "'iterations'; did you mean 'maxIterations'?",
    call: () => new ConjugateGradient(untyped({ iterations: 3 })),
  },
  {
    what: 'an unknown option of a call',
    code: unknown,
    message: "Expected one of out for an option of applySync but received 'signal'",
    call: applying(vector(), { signal: new AbortController().signal }),
  },
];

testRefusals(table);
