/** The table of options of {@link Preconditioner}; see lib/base/option-table.ts. */
import { kinds } from '../base/kinds';
import { is, made, type OptionRows, when } from '../base/option-table';
import type { LossReduction } from '../base/weight-vector';
import { layerPreconditionerRows, layerRows } from '../layer/option-rows';
import { divergence, layerPatterns } from './option-kinds';
import { ofPreset, type Preset } from './presets';
import { ranksRows } from './ranks/option-rows';
import { schedule } from './schedule';

/** The solve of the recipe, for which the presets are made. */
const recipe = { method: ['exact'], dampingMode: ['factored'] };
const iterating = { method: ['cg', 'auto'] };
const polyak = { stepRule: ['auto', 'polyak', 'quadratic'] };
const panels = { factorHistory: ['panel'] };

/** What a network has of its own, or otherwise than a layer. */
const networkRows = {
  lossReduction: {
    kind: kinds.choice<LossReduction>(['sum', 'mean'], 'LossReduction'),
    required: true,
    text: 'What the recorded gradients are gradients of.',
  },
  preset: {
    kind: kinds.choice<Preset>(['adaptive', 'safe', 'reconstruction', 'image-classifier'], 'Preset'),
    default: is('safe'),
    values: {
      adaptive: { text: 'for any loss and any head: steps and their bounds find their own length' },
      safe: { text: 'for any head, with φ and without bounds' },
      reconstruction: { text: 'for autoencoders and regression' },
      'image-classifier': {
        text:
          'for feed-forward softmax classifiers of images, and not for recurrent networks or losses with an ' +
          'entropy floor',
      },
    },
    text: 'A set of defaults; any option given overrides it.',
  },
  method: {
    ...layerPreconditionerRows.method,
    default: is('exact'),
    values: {
      ...layerPreconditionerRows.method.values,
      exact: { text: 'damped inverses of the factors' },
      cg: { text: 'CG-FAC, truncated conjugate gradients' },
      kfac: { text: 'direct K-FAC with running averages' },
      auto: { text: "'cg' or 'exact' by estimated time" },
    },
    text: 'How directions are solved for.',
  },
  dampingMode: {
    kind: kinds.choice(['tikhonov', 'factored']),
    default: when({ method: ['exact'] }, is('factored'), is('tikhonov')),
    values: {
      ...layerPreconditionerRows.dampingMode.values,
      factored: {
        ...layerPreconditionerRows.dampingMode.values.factored,
        needs: [{ where: { method: ['exact', 'kfac'] } }],
      },
    },
    text: 'What λ is added to.',
  },
  damping: {
    kind: schedule(kinds.damping),
    default: when(
      recipe,
      ofPreset(({ relative }) => ({ relative })),
      when({ method: ['cg'] }, is({ relative: 10 }), is({ relative: 3 })),
    ),
    text:
      "λ: a number > 0, or `{ relative: ρ }`, with factored damping a multiple of each factor's mean eigenvalue " +
      "(the mean over the directions that a panel holds), else of the block's.",
  },
  dampingSchedule: {
    kind: kinds.choice(['constant', 'falling']),
    default: when(
      { damping: { given: true } },
      is('constant'),
      when({ preset: ['adaptive'], ...recipe }, is('falling'), is('constant')),
    ),
    values: {
      constant: { text: 'it is what `damping` gives' },
      falling: {
        text:
          'it is that divided by min(4, 1 + ⌊t/50⌋) at step t: a half, a third and a quarter of it from steps 50, ' +
          '100 and 150 on; ρ is up to six times that where the curvature of the loss is assumed (`assumedCurvature`)',
      },
    },
    text: 'What becomes of λ, or ρ, in the course of a run.',
  },
  stepRule: {
    kind: kinds.choice(['auto', 'polyak', 'quadratic', 'kl-clip', 'fixed']),
    default: when(
      { trustRegion: { given: true } },
      is('fixed'),
      when(
        { klClip: { given: true } },
        is('kl-clip'),
        when({ preset: ['adaptive'] }, is('auto'), when({ method: ['exact'] }, is('polyak'), is('kl-clip'))),
      ),
    ),
    values: {
      auto: {
        text:
          "'quadratic' for a step whose `targets` are 'soft', else 'polyak': hard targets have one length for all " +
          'layers that the loss itself tells, everything else one for each layer',
      },
      polyak: { text: 'min(1, φ(1 − μ)(L − L_min)/Σ⟨v, x⟩), which needs the loss L at every step' },
      quadratic: {
        text:
          'a length for each layer, (1 − μ)e with the e of least ½eᵀQe − Σe⟨v, x⟩ and 0 ≤ e ≤ 1, times s = ' +
          'Σe⟨v, x⟩/(eᵀQe) where that is above 10 and nothing holds e back, scaled down to Σe⟨v, x⟩ = φ(L − L_min) ' +
          'where it is more and L above L_min; Q from the rows of `recordFisher`, which it needs at every step, as ' +
          'it needs L',
      },
      'kl-clip': { text: 'ν·learningRate, ν = min(1, √(klClip/(learningRate²·Σ⟨v, x⟩)))' },
      fixed: { text: 'learningRate' },
    },
    text: 'The length η of a step.',
  },
  polyakFraction: {
    kind: schedule(kinds.positive, kinds.nonNegative),
    default: ofPreset(({ polyakFraction }) => polyakFraction),
    only: [polyak],
    text: "φ of 'polyak' and 'quadratic'.",
  },
  fractionRule: {
    kind: kinds.choice(['fixed', 'momentum']),
    default: ofPreset(({ fractionRule }) => fractionRule),
    values: {
      fixed: { text: 'it stays' },
      momentum: {
        text:
          'φ ← min(1, φ·exp(a/10)), a = ⟨v, M⟩/p within ±1 with p = ⟨v, M⟩ as it was right after the last step; an ' +
          'a that is usually small counts for more, and is less a twentieth where curvature is assumed: φ grows ' +
          'while a step goes on to be one downhill and shrinks where it turns out too long; where one length ' +
          'serves all layers it grows on from 1 to 2, by 2 % a step at the most, and steps that were too long, or ' +
          'a loss that has doubled, take it back to 1; and L − L_min is at least a fiftieth of L',
      },
    },
    text: 'What becomes of φ.',
  },
  maxRelativeChange: {
    kind: kinds.positive,
    default: when(
      polyak,
      ofPreset(({ bounded }) => (bounded ? 1 : undefined)),
      is(undefined),
    ),
    only: [polyak],
    text:
      "τ of the bound ‖ηx‖ ≤ τR of 'polyak' (0.3τR for an embedding), and ‖M‖ ≤ 0.3τR of 'quadratic', for each layer " +
      "but an output, with R = max(‖W‖, Glorot's norm); a tenth of it for what an attention is computed from, for " +
      'what enters a network that the step does not train, for a recurrent kernel, with R = max(‖W‖, ' +
      '√min(inFeatures, outFeatures)), and for a scale and shift, with R = max(‖W‖, √features). Hidden dense layers ' +
      'and convolutions used once go together as far as one of them alone may, Σ‖ηx‖/(τR) ≤ 1; of branches, the ' +
      'one that changes most.',
  },
  klClip: {
    kind: schedule(kinds.positive, kinds.nonNegative),
    default: is(1e-2),
    only: [{ stepRule: ['kl-clip'] }],
    text:
      "κ of 'kl-clip', in the units of the loss: of one that is a mean over D outputs it is D times as much as of " +
      'their sum.',
  },
  trustRegion: {
    kind: divergence,
    only: [
      { method: ['exact'], dampingMode: ['tikhonov'] },
      { stepRule: ['fixed'] },
      { communicator: { absent: 'one' } },
    ],
    text:
      "Every layer's λ is multiplied by the one factor for which ½η²Σ xᵀF x, the Kullback–Leibler divergence that " +
      'the step predicts, is `kl`. It costs a second solve.',
  },
  adaptiveDamping: {
    kind: kinds.boolean,
    default: is(false),
    only: [{ trustRegion: { absent: 'one' } }],
    text:
      'Whether `Preconditioner.reportLoss` adapts the damping, by the rule of Levenberg and Marquardt: smaller ' +
      'where the loss fell by more than 3/4 of what was predicted, larger where by less than 1/4.',
  },
  adaptiveFraction: {
    kind: kinds.boolean,
    default: is(false),
    only: [polyak, { adaptiveDamping: { absent: 'both' } }],
    text: "Whether `Preconditioner.reportLoss` adapts φ of 'polyak' instead, by the same thresholds.",
  },
  learningRate: {
    kind: schedule(kinds.nonNegative),
    default: is(1),
    text: 'A factor of everything that moves, the part of the momentum too: 1 is the own length of a step.',
  },
  learningRateSchedule: {
    kind: kinds.choice(['constant', 'linear']),
    default: is('constant'),
    values: {
      constant: { text: 'steps keep their length' },
      linear: {
        needs: [{ where: { totalSteps: { given: true } } }],
        text: 'they keep it for half of `totalSteps`, then shrink linearly to 0',
      },
    },
    text: 'What becomes of the length of steps in the course of a run.',
  },
  totalSteps: {
    kind: kinds.positiveInteger,
    text: "Steps of the whole run, for `learningRateSchedule: 'linear'` and for the default of `emaMomentum`.",
  },
  momentum: {
    kind: schedule(kinds.fraction),
    default: when(
      { method: ['exact'] },
      ofPreset(({ momentum }) => momentum),
      is(0),
    ),
    text:
      "μ of M ← μM + ηx, the heavy ball after preconditioning. With `fractionRule` 'momentum' less where M leads " +
      'uphill, so that a step keeps at least half of its own descent, as far as half of the samples tell.',
  },
  weightDecay: {
    kind: schedule(kinds.nonNegative),
    default: is(0),
    text: 'Decoupled weight decay: weights ← weights·(1 − η·weightDecay) beside each step. Needs registered weights.',
  },
  useEma: {
    kind: kinds.boolean,
    default: is(true),
    text: 'Whether averages of the registered weights are kept, for evaluation.',
  },
  emaMomentum: {
    kind: schedule(kinds.fraction),
    default: when({ totalSteps: { below: 200 } }, is(0.95), is(0.99)),
    text: 'The decay β of the averages of weights: β_t = min(β, (1 + t)/(10 + t)) at step t.',
  },
  factorUpdateSteps: {
    kind: schedule(kinds.positiveInteger),
    default: when(
      { method: ['exact'] },
      ofPreset(({ factorUpdateSteps }) => factorUpdateSteps),
      is(1),
    ),
    text:
      'T: the factors take in a batch every so many steps, and at each of the first two, or of the first 10 where ' +
      'T ≥ 4.',
  },
  inverseUpdateSteps: {
    kind: kinds.positiveInteger,
    default: is(1),
    only: [{ method: ['kfac'] }],
    text: 'The factors are decomposed every so many updates.',
  },
  factorHistory: {
    kind: kinds.choice(['none', 'panel', 'dense']),
    default: when(
      recipe,
      ofPreset(({ factorHistory }) => factorHistory),
      when({ method: ['kfac'] }, is('dense'), is('none')),
    ),
    values: layerPreconditionerRows.factorHistory.values,
    text: 'What the factors are made of.',
  },
  factorDecay: {
    kind: kinds.fraction,
    default: ofPreset(({ factorDecay }) => factorDecay),
    only: [{ factorHistory: ['panel', 'dense'] }],
    text: 'Weight of the old average.',
  },
  rank: {
    kind: kinds.positiveInteger,
    default: ofPreset(({ rank }) => rank),
    only: [panels],
    text: 'Directions of a panel.',
  },
  window: {
    kind: kinds.positiveInteger,
    default: when(recipe, is(256), is(undefined)),
    only: [{ factorHistory: ['none'] }],
    text:
      'Rows that a factor is made of at the least; shorter batches are filled up with older rows, and so is the ' +
      'share of them that targets were sampled for. Without it a batch that is shorter than the one before is ' +
      'filled up with rows of that one.',
  },
  fisherFraction: {
    kind: schedule(kinds.share),
    default: ofPreset(({ fisherFraction }) => fisherFraction),
    text: 'Share of a batch whose targets are sampled for the output factor: for whoever samples.',
  },
  weightSharing: {
    kind: kinds.choice(['expand', 'reduce']),
    default: is('expand'),
    values: {
      expand: { text: 'a row each' },
      reduce: { text: 'one row, of the mean of a and the sum of g over them' },
    },
    text: 'What the positions of a convolution make of a sample, where its own options do not say.',
  },
  maxRows: {
    kind: kinds.positiveInteger,
    default: is(256),
    text:
      'Positions of a batch, of all its samples, that a factor of a convolution takes in at the most, drawn at each ' +
      'refresh, where its own options do not say.',
  },
  accumulationSteps: {
    kind: kinds.positiveInteger,
    default: is(1),
    text:
      'Batches that make a step, where the loss of each is divided by their number: recorded gradients are ' +
      'multiplied by it. Batches whose losses are not divided accumulate without it.',
  },
  ...ranksRows,
  skipLayers: {
    kind: layerPatterns,
    default: made<readonly (string | RegExp)[]>(() => [], 'none'),
    text: 'Layers that are left to the optimizer that follows: their names, or expressions that match them.',
  },
  seed: { kind: kinds.seed, default: is(0), text: 'Seed of `Preconditioner.uniforms`.' },
  maxIterations: {
    kind: kinds.positiveInteger,
    default: is(15),
    only: [iterating],
    text: 'The budget of iterations of a solve. Using it up is its normal end.',
  },
  tolerance: {
    kind: kinds.nonNegative,
    default: is(0.3),
    only: [iterating],
    text:
      'The relative residual ‖r‖/‖v‖ at which a solve ends: with the warm start, what one step leaves undone the ' +
      "next ones do, and solving each batch's system further than that fits its noise. 0 stops at the float32 " +
      'floor.',
  },
} satisfies OptionRows;

/** What each layer is told of itself, or can only be one thing in a network. */
const ofOneLayer = { ...layerRows, block: layerPreconditionerRows.block };
type Inherited = Omit<typeof layerPreconditionerRows, keyof typeof networkRows | keyof typeof ofOneLayer>;

/** The options of {@link Preconditioner}: those of its own, and all others that a layer has. */
export const preconditionerRows = {
  ...networkRows,
  ...(Object.fromEntries(
    Object.entries(layerPreconditionerRows).filter(([name]) => !(name in networkRows || name in ofOneLayer)),
  ) as Inherited),
} satisfies OptionRows;
