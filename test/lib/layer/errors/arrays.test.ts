// What is refused: numbers that are not finite, memory that is not there, and arrays that overlap.
import { ConjugateGradient, FisherOperator } from 'cgfac';
import {
  applying,
  batch,
  type Case,
  codes,
  constructing,
  detached,
  layer,
  operator,
  recorded,
  recording,
  resizable,
  rows,
  spoiled,
  testRefusals,
  vector,
} from '../../../support/refusals';

const { notFinite, buffer, overlap } = codes;

const table: Case[] = [
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
      'Expected a Float32Array of length 8 (batch 4 × inFeatures 2) for inputs but received one whose buffer was ' +
      'detached',
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
      'Expected a Float32Array of length 6 (outFeatures 3 × inFeatures 2) for v.kernel but received one whose ' +
      'buffer was detached',
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
];

testRefusals(table);
