/** What is saved of an optimizer, and its parts. */
import type { Variable } from '@tensorflow/tfjs-core';
import type { AdaptationState, Preset, StoredLayer } from '../../adapter-kit';
import { type Block, variablesOf } from '../kinds/layer-kind';
import type { AxisRange, Part } from '../kinds/part';
import type { DigestOf } from './digest';

/** The version of the form of a state that is saved; states without one are those of releases up to 0.1.0. */
export const VERSION = 2;

/** The average of a variable. */
export interface SavedAverage {
  /** The place of its variable among those with averages, in the order in which they were created. */
  readonly created: number;
  readonly values: Float32Array;
  /** Steps that it has taken in; of states without it as many as any. */
  readonly steps?: number;
}

/** What a variable was like when a state of it was saved, and the part of it that a layer has. */
export interface SavedPart {
  readonly shape: readonly number[];
  /** The digest of its numbers. */
  readonly digest: number;
  readonly range?: AxisRange;
}

/** The variables of a part of a state, by which it finds them again; of states without a version there is none. */
export interface SavedBlock {
  readonly name: string;
  readonly kernel?: SavedPart | undefined;
  readonly bias?: SavedPart | undefined;
}

/** One layer's part of a {@link SavedState}. */
export interface SavedLayer extends SavedBlock {
  readonly state: StoredLayer;
  /** The averages of the variables of the kernel and of the bias; where several layers have parts of one, once. */
  readonly averages: readonly [SavedAverage | undefined, SavedAverage | undefined];
}

/** What is kept of a lone variable; 0.1.0, which took plain gradient steps for it, kept the average alone. */
export interface SavedPlain extends SavedBlock {
  readonly average?: SavedAverage | undefined;
  readonly state?: StoredLayer;
}

/** The average of a running statistic. */
export interface SavedStatistic {
  /** The length of its variable. */
  readonly size: number;
  /** The digest of its variable's numbers. */
  readonly digest: number;
  readonly values: Float32Array;
  /** Passes that it has taken in. */
  readonly passes: number;
}

/** What is saved of an optimizer, the number of its steps and its seed apart. */
export interface SavedState {
  readonly version?: typeof VERSION;
  readonly steps: number;
  readonly skippedSteps: { readonly total: number; readonly inARow: number };
  /** Steps that entered the averages. */
  readonly averaged: number;
  /** Whether the preset was that of soft targets, where none is named. */
  readonly soft: boolean;
  /** The preset of the steps. */
  readonly preset?: Preset;
  /** How far φ has come. */
  readonly adaptation?: AdaptationState;
  readonly layers: readonly SavedLayer[];
  readonly plain: readonly SavedPlain[];
  /** The averages of running statistics, where there are any. */
  readonly statistics?: readonly SavedStatistic[];
}

/** The parts of a state by layer and variable. */
export type SavedParts = Pick<SavedState, 'layers' | 'plain'>;

/** A layer and its state. */
export interface StatedLayer extends Block {
  readonly name: string;
  /** Whether it is a lone variable. */
  readonly lone: boolean;
  readonly state: StoredLayer;
}

/** The averages of variables, to be read. */
export interface ReadableAverages {
  /** The variables that have averages. */
  variables(): Variable[];
  /** A copy of the average of a variable, and the steps that it has taken in. */
  read(variable: Variable): Omit<SavedAverage, 'created'> | undefined;
}

function savedPart({ variable, range }: Part, digestOf: DigestOf): SavedPart {
  return { shape: variable.shape, digest: digestOf(variable), ...(range ? { range } : {}) };
}

/** The state of layers, and the averages of their variables and of all others that have one. */
export function savedParts(layers: readonly StatedLayer[], averages: ReadableAverages, digestOf: DigestOf): SavedParts {
  const averaged = averages.variables();
  const places = new Map([...averaged].sort((a, b) => a.id - b.id).map((variable, created) => [variable, created]));
  const saved = new Set<Variable>();
  // of a variable that several layers have parts of with the first of them
  const averageOf = (variable: Variable | undefined): SavedAverage | undefined => {
    if (variable === undefined || saved.has(variable)) return undefined;
    saved.add(variable);
    const created = places.get(variable);
    const average = averages.read(variable);
    return created === undefined || average === undefined ? undefined : { created, ...average };
  };
  const known = new Set(layers.flatMap(variablesOf));
  const lone = layers.filter((layer) => layer.lone);
  const others = averaged.filter((variable) => !known.has(variable));
  return {
    layers: layers.flatMap(({ name, kernel, bias, state, lone: isLone }): SavedLayer[] =>
      isLone
        ? []
        : [
            {
              name,
              kernel: savedPart(kernel, digestOf),
              ...(bias ? { bias: savedPart(bias, digestOf) } : {}),
              state,
              averages: [averageOf(kernel.variable), averageOf(bias?.variable)],
            },
          ],
    ),
    plain: [
      ...lone.map(({ name, kernel, state }) => {
        return { name, kernel: savedPart(kernel, digestOf), average: averageOf(kernel.variable), state };
      }),
      ...others.map((variable) => {
        const kernel = savedPart({ variable, range: undefined }, digestOf);
        return { name: variable.name, kernel, average: averageOf(variable) };
      }),
    ],
  };
}

/** Parts of a state with each average as `changed` gives it. */
export function withAverages<T extends SavedParts>(
  parts: T,
  changed: (average: SavedAverage) => SavedAverage | undefined,
): T {
  const change = (average: SavedAverage | undefined) => average && changed(average);
  return {
    ...parts,
    layers: parts.layers.map(({ averages: [kernel, bias], ...layer }): SavedLayer => {
      return { ...layer, averages: [change(kernel), change(bias)] };
    }),
    plain: parts.plain.map(({ average, ...rest }): SavedPlain => ({ ...rest, average: change(average) })),
  };
}

/** The own parts and, behind `count` averages of these, the parts that were loaded and are not taken over yet. */
export function withPending(own: SavedParts, pending: SavedParts | undefined, count: number): SavedParts {
  if (pending === undefined) return own;
  const { layers, plain } = withAverages({ layers: pending.layers, plain: pending.plain }, (average) => {
    return { ...average, created: count + average.created };
  });
  return { layers: [...own.layers, ...layers], plain: [...own.plain, ...plain] };
}
