// What is refused: options that do not go together, and what a method cannot do.
import { LayerPreconditioner } from 'cgfac';
import {
  type Case,
  codes,
  layer,
  layering,
  naturally,
  recorded,
  rows,
  testRefusals,
  untyped,
  vector,
} from '../../../support/refusals';

const { type, value, shape } = codes;

const averagesNeeded = (options: readonly string[]) =>
  `Expected 'panel' or 'dense' with the option ${options} for factorHistory but received 'none'`;

const table: Case[] = [
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
      message: averagesNeeded(Object.keys(option)),
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
    message: averagesNeeded(['factorDecay']),
    call: layering({ factorDecay: 0.5 }),
  },
  ...(['none', 'dense'] as const).flatMap((factorHistory): Case[] =>
    [{ rank: 8 }, { panelRows: 8 }].map((option) => ({
      what: `${Object.keys(option)} with factorHistory '${factorHistory}'`,
      code: value,
      message:
        `Expected 'panel' with the option ${Object.keys(option)} for factorHistory but received ` +
        `'${factorHistory}'`,
      call: layering({ factorHistory, ...option }),
    })),
  ),
  ...(['none', 'panel'] as const).map(
    (factorHistory): Case => ({
      what: `factorHistory '${factorHistory}' with 'kfac'`,
      code: value,
      message:
        `Expected 'cg', 'exact' or 'auto' with factorHistory '${factorHistory}' (direct K-FAC's factors are dense ` +
        "running averages) for method but received 'kfac'",
      call: layering({ factorHistory, method: 'kfac' }),
    }),
  ),
  ...(['panel', 'dense'] as const).map(
    (factorHistory): Case => ({
      what: `factorHistory '${factorHistory}' with block 'sample'`,
      code: value,
      message:
        "Expected 'none' with block 'sample' (a sum over samples has no factors to average) for factorHistory but " +
        `received '${factorHistory}'`,
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
];

testRefusals(table);
