// What is refused: arrays of another length, and arguments of another type.
import { ConjugateGradient, FisherOperator, type FisherOperatorOptions } from 'cgfac';
import {
  applying,
  type Case,
  codes,
  constructing,
  layer,
  operator,
  recording,
  rows,
  testRefusals,
  untyped,
  vector,
} from '../../../support/refusals';

const { type, shape } = codes;

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
      'Expected a Float32Array of length 6 (fisherRows 2 × outFeatures 3) for outputGrads but received a ' +
      'Float32Array of length 12',
    call: constructing({ fisherRows: 2 }),
  },
  {
    what: 'a kernel of another length',
    code: shape,
    message:
      'Expected a Float32Array of length 6 (outFeatures 3 × inFeatures 2) for v.kernel but received a Float32Array ' +
      'of length 5',
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
      'Expected a Float32Array of length 6 (outFeatures 3 × inFeatures 2) for out.kernel but received a ' +
      'Float32Array of length 9',
    call: applying(vector(), { out: { kernel: new Float32Array(9), bias: new Float32Array(3) } }),
  },
  {
    what: 'a vector for an operator of another shape',
    code: shape,
    message:
      'Expected a Float32Array of length 6 (outFeatures 3 × inFeatures 2) for v.kernel but received a Float32Array ' +
      'of length 8',
    call: () =>
      new ConjugateGradient().solveSync(operator(), { kernel: new Float32Array(8), bias: new Float32Array(4) }),
  },
  {
    what: 'an x0 for an operator of another shape',
    code: shape,
    message:
      'Expected a Float32Array of length 6 (outFeatures 3 × inFeatures 2) for x0.kernel but received a ' +
      'Float32Array of length 8',
    call: () =>
      new ConjugateGradient().solveSync(operator(), vector(), {
        x0: { kernel: new Float32Array(8), bias: new Float32Array(3) },
      }),
  },
  {
    what: 'recorded inputs of another length',
    code: shape,
    message:
      'Expected a Float32Array of length 10 (batch 5 × inFeatures 2) for inputs but received a Float32Array of ' +
      'length 8',
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
      'Expected a Float32Array of length 6 (outFeatures 3 × inFeatures 2) for v but received an object with keys ' +
      'kernel, bias',
    call: () =>
      new FisherOperator(untyped({ ...layer(), ...rows(), bias: false }) as FisherOperatorOptions).applySync(vector()),
  },
  {
    what: 'v as number[]',
    code: type,
    message:
      'Expected a Float32Array of length 6 (outFeatures 3 × inFeatures 2) for v.kernel but received an array of ' +
      'length 2',
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
];

testRefusals(table);
