import type { Default } from '../base/option-table';
import { by } from '../base/option-table';

/** A set of defaults: see {@link PreconditionerOptions.preset}. */
export type Preset = 'adaptive' | 'safe' | 'reconstruction' | 'image-classifier';

/** The defaults that make a preset. */
export interface PresetValues {
  /** ρ of `damping`. */
  readonly relative: number;
  /** φ of the Polyak step. */
  readonly polyakFraction: number;
  /** μ of the heavy ball. */
  readonly momentum: number;
  /** What the factors are made of. */
  readonly factorHistory: 'none' | 'panel';
  /** Directions of a panel. */
  readonly rank: number;
  /** T, the steps between two refreshes of the factors. */
  readonly factorUpdateSteps: number;
  /** Share of the batch whose targets are sampled. */
  readonly fisherFraction: number;
  /** δ of the averages of factors. */
  readonly factorDecay: number;
  /** How φ goes on. */
  readonly fractionRule: 'fixed' | 'momentum';
  /** τ, where steps are bounded. */
  readonly bounded: boolean;
}

/** The presets by name. */
export const presets: Readonly<Record<Preset, PresetValues>> = {
  adaptive: {
    relative: 0.5,
    polyakFraction: 1,
    momentum: 0.5,
    factorHistory: 'panel',
    rank: 128,
    factorUpdateSteps: 5,
    fisherFraction: 0.5,
    factorDecay: 0.9,
    fractionRule: 'momentum',
    bounded: true,
  },
  safe: {
    relative: 1,
    polyakFraction: 1,
    momentum: 0.5,
    factorHistory: 'panel',
    rank: 128,
    factorUpdateSteps: 5,
    fisherFraction: 0.5,
    factorDecay: 0.95,
    fractionRule: 'fixed',
    bounded: false,
  },
  reconstruction: {
    relative: 0.3,
    polyakFraction: 0.5,
    momentum: 0.5,
    factorHistory: 'none',
    rank: 128,
    factorUpdateSteps: 2,
    fisherFraction: 0.5,
    factorDecay: 0.95,
    fractionRule: 'fixed',
    bounded: false,
  },
  'image-classifier': {
    relative: 0.3,
    polyakFraction: 2,
    momentum: 0,
    factorHistory: 'panel',
    rank: 64,
    factorUpdateSteps: 10,
    fisherFraction: 0.5,
    factorDecay: 0.95,
    fractionRule: 'fixed',
    bounded: false,
  },
};

/** A default of the preset. */
export function ofPreset<T>(value: (preset: PresetValues) => T): Default<T> {
  return by('preset', Object.fromEntries(Object.entries(presets).map(([name, preset]) => [name, value(preset)])));
}
