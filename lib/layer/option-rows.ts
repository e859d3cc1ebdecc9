/** The tables of options of one layer's classes; see lib/base/option-table.ts. */
import { kinds } from '../base/kinds';
import { is, type Kind, type Lookup, like, type OptionRows, type ValueRow, when } from '../base/option-table';
import * as checks from '../base/validate';
import { checkSize, float32, type KernelLayout, type LossReduction } from '../base/weight-vector';

/** An array of `rows` × `features` numbers, both of them options. */
function matrix(rows: string, features: string): Kind<Float32Array> {
  const check = (value: unknown, name: string, of: Lookup) => {
    const [n, d] = [Number(of(rows)), Number(of(features))];
    return float32(value, name, n * d, `${rows} ${n} × ${features} ${d}`);
  };
  return { check, type: 'Float32Array', expected: 'a Float32Array' };
}

/** A number of outputs that BLAS can index beside the inputs. */
const outputs: Kind<number> = {
  ...kinds.positiveInteger,
  check: (value, name, of) => {
    const outFeatures = checks.positiveInteger(value, name);
    checkSize(Number(of('inFeatures')), outFeatures);
    return outFeatures;
  },
};

/** What every object that stands for a layer is told about it. */
export const layerRows = {
  inFeatures: { kind: kinds.positiveInteger, required: true, text: 'Inputs per sample, without the bias.' },
  outFeatures: { kind: outputs, required: true, text: 'Outputs per sample.' },
  bias: {
    kind: { ...kinds.boolean, type: 'Bias' },
    default: is(false),
    text: 'Whether the layer has a bias, which then is a homogeneous last input of 1.',
  },
  damping: {
    kind: kinds.damping,
    required: true,
    text: 'λ, a number > 0 that depends on the scale of the loss, or `{ relative }`, which does not.',
  },
  lossReduction: {
    kind: kinds.choice<LossReduction>(['sum', 'mean'], 'LossReduction'),
    required: true,
    text: 'What the output gradients are gradients of.',
  },
  kernelLayout: {
    kind: kinds.choice<KernelLayout>(['out-in', 'in-out'], 'KernelLayout'),
    default: is('out-in'),
    text: 'How kernels lie in memory.',
  },
} satisfies OptionRows;

/** What conjugate gradients are told. */
export const cgRows = {
  maxIterations: {
    kind: kinds.positiveInteger,
    default: is(20),
    text: 'The budget of iterations. Using it up is the normal end of a truncated solve.',
  },
  tolerance: {
    kind: kinds.nonNegative,
    default: is(1e-2),
    text: 'The relative residual ‖r‖/‖v‖ at which a solve ends; 0 stops at the float32 floor, ‖r‖² ≤ 2⁻²²‖v‖².',
  },
  space: {
    kind: kinds.choice(['auto', 'weight', 'gram']),
    default: is('auto'),
    values: {
      auto: { text: 'the one of fewer flops' },
      weight: { text: "the space of the layer's weights, in float32" },
      gram: { text: "the space of the batch's rows, in float64" },
    },
    text: 'Where the iterations run.',
  },
} satisfies OptionRows;

/** The options of {@link ConjugateGradient}. */
export const conjugateGradientRows = {
  ...cgRows,
  history: {
    kind: kinds.boolean,
    default: is(false),
    text: 'Whether results carry the residual of every iteration.',
  },
} satisfies OptionRows;

/** The options of {@link FisherOperator}. */
export const fisherOperatorRows = {
  ...layerRows,
  inputs: {
    kind: matrix('batch', 'inFeatures'),
    required: true,
    text: "The layer's input activations a, `(batch × inFeatures)`, row-major Float32Array. Borrowed.",
  },
  outputGrads: {
    kind: matrix('fisherRows', 'outFeatures'),
    required: true,
    text:
      "Gradients g of the loss with respect to the layer's pre-activations, `(fisherRows × outFeatures)`, " +
      'row-major Float32Array. Borrowed.',
  },
  batch: { kind: kinds.positiveInteger, required: true, text: 'Rows of `inputs`.' },
  fisherRows: { kind: kinds.positiveInteger, default: like<number>('batch'), text: 'Rows of `outputGrads`.' },
} satisfies OptionRows;

/** Where there are averages of the factors. */
const averaged = { factorHistory: ['panel', 'dense'] };
const iterating = { method: ['cg', 'auto'] };

/** The ways of solving. Another one begins here: the core's enum and all types of it follow from these names. */
const methods = {
  auto: {
    text: "`'cg'` or `'exact'`, whichever is estimated to be faster for the shape; the result says which",
  },
  cg: { text: 'conjugate gradients (CG-FAC), truncated by `maxIterations` and `tolerance`' },
  exact: {
    text:
      "the spectral solution in Gram space; with `dampingMode: 'factored'` two Choleskys, with `block: " +
      "'sample'` one",
  },
  kfac: { text: 'direct K-FAC on running averages of the factors, O(n² + m²) memory' },
} satisfies Readonly<Record<string, ValueRow>>;
const methodNames = Object.keys(methods) as (keyof typeof methods)[];

/** Methods that take the rows of a batch, or of a panel. */
const notAlwaysDense = {
  where: { method: [...methodNames.filter((name) => name !== 'kfac' && name !== 'auto'), 'auto'] },
  because: "direct K-FAC's factors are dense running averages",
};

/** The options of {@link LayerPreconditioner}. */
export const layerPreconditionerRows = {
  ...layerRows,
  maxIterations: { ...cgRows.maxIterations, only: [iterating] },
  tolerance: { ...cgRows.tolerance, only: [iterating] },
  space: { ...cgRows.space, only: [iterating] },
  warmStart: {
    kind: kinds.choice(['none', 'previous', 'scaled']),
    default: is('previous'),
    only: [iterating],
    values: {
      previous: {
        text:
          "the previous solution (the paper's proposal; it often starts with a larger residual, and trains better " +
          'all the same)',
      },
      scaled: { text: 'its multiple of least error' },
      none: { text: 'zero' },
    },
    text: "Where a solve by 'cg' starts.",
  },
  factorUpdateSteps: {
    kind: kinds.positiveInteger,
    default: is(1),
    only: [averaged],
    text: 'A batch enters the averages of the factors every so many batches.',
  },
  inverseUpdateSteps: {
    kind: kinds.positiveInteger,
    default: is(1),
    only: [{ method: ['kfac'] }],
    text: 'The factors are decomposed every so many batches.',
  },
  factorDecay: {
    kind: { ...kinds.fraction, check: (value, name) => checks.fraction(checks.nonNegative(value, name), name) },
    default: is(0.95),
    only: [averaged],
    text: 'The weight of the old average, from the second batch on.',
  },
  method: {
    kind: kinds.choice(methodNames),
    default: when({ dampingMode: ['factored'] }, is('exact'), when({ block: ['sample'] }, is('exact'), is('cg'))),
    values: methods,
    text: 'How directions are solved for.',
  },
  dampingMode: {
    kind: kinds.choice(['tikhonov', 'factored']),
    default: is('tikhonov'),
    values: {
      tikhonov: { text: 'λI is added to F = A ⊗ G' },
      factored: {
        needs: [{ where: { method: ['exact', 'kfac', 'auto'] } }],
        text:
          'γ_A I is added to A and γ_G I to G, with γ_A = π√λ, γ_G = √λ/π and π² = (tr A/n)/(tr G/m); for `{ ' +
          'relative: ρ }` γ_A = ρ·tr A/n and γ_G = ρ·tr G/m',
      },
    },
    text: 'What λ is added to.',
  },
  block: {
    kind: kinds.choice(['kronecker', 'sample']),
    default: is('kronecker'),
    values: {
      kronecker: { text: 'F = A ⊗ G' },
      sample: {
        needs: [
          { where: { dampingMode: ['tikhonov'] } },
          { where: { method: ['exact', 'auto'] } },
          { where: { factorHistory: ['none'] }, because: 'a sum over samples has no factors to average' },
        ],
        text:
          '(1/B) Σ vec(g aᵀ) vec(g aᵀ)ᵀ over the samples, without the Kronecker approximation, for `fisherRows` ' +
          'equal to `batch`',
      },
    },
    text: 'What F is.',
  },
  factorHistory: {
    kind: kinds.choice(['none', 'panel', 'dense']),
    default: when({ method: ['kfac'] }, is('dense'), is('none')),
    values: {
      none: { needs: [notAlwaysDense], text: "the last batch's rows" },
      panel: {
        needs: [notAlwaysDense],
        text: 'a running average by its leading `rank` directions, dense for sides of at most 200',
      },
      dense: { text: 'a running average, d × d' },
    },
    text: 'What the factors are made of.',
  },
  rank: {
    kind: kinds.positiveInteger,
    default: is(128),
    only: [{ factorHistory: ['panel'] }],
    text: 'Directions of a panel.',
  },
  panelRows: {
    kind: kinds.positiveInteger,
    default: is(128),
    only: [{ factorHistory: ['panel'] }],
    text: 'Rows of a batch that enter a panel at a time, drawn from all of it.',
  },
} satisfies OptionRows;
