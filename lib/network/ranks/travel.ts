/**
 * What travels between ranks in a step, and how much of it.
 *
 * A layer's rows go to its owner as they were recorded, and its gradient is made of them there; or each rank sends its
 * own gradient, whose mean over all samples is the owner's, and at a refresh what it has of each side's factor: rows of
 * it, or the sum of their products. Of both the one of fewer bytes is taken, unless the option `ownerRows` says.
 */
import type { NetworkShape } from '../kinds/layer-kind';
import type { ResolvedPreconditionerOptions } from '../options';
import { FEWEST_RELAYING } from './relay';
import { type Side, sideForm, sidesOf } from './sides';

/** How rows of a side reach the owner of a layer, or that none do at a step. */
export type SideWay = 'all' | 'sampled' | 'own' | 'factors' | 'none';

/** What there is of a layer on one rank: the ShareCounts of the core, in numbers and rows. */
export interface RankCounts {
  readonly inputs: number;
  readonly lossGrads: number;
  readonly outputGrads: number;
  readonly inputRows: number;
  readonly outputRows: number;
  readonly samples: number;
  readonly parts: number;
}

/** A layer of a step that all ranks take. */
export interface Travelling {
  readonly name: string;
  readonly shape: NetworkShape;
  readonly owner: number;
  /** Whether its gradient is given. */
  readonly given: boolean;
  /** Whether its factors take in rows. */
  readonly refresh: boolean;
  /** Refreshes so far. */
  readonly refreshes: number;
  /** Whether the output factor is made of the gradients of the loss. */
  readonly empirical: boolean;
  /** By rank. */
  readonly counts: readonly RankCounts[];
}

/** What is to travel of one side. */
export interface SideTravel {
  readonly way: SideWay;
  /** 0: rows, 1: their products or numbers. */
  readonly form: 0 | 1;
  /** Rows that are drawn of those of all ranks. */
  readonly most: number;
}

/** What is to travel of a layer. */
export interface LayerTravel {
  readonly owner: number;
  /** Whether what was recorded goes to the owner as it is. */
  readonly recorded: boolean;
  /** Whether the gradients of the loss are a part of it. */
  readonly lossGrads: boolean;
  /** Whether the gradient itself goes to the owner. */
  readonly gradient: boolean;
  readonly input: SideTravel;
  readonly output: SideTravel;
}

/** The options that it depends on. */
export type TravelOptions = Pick<
  ResolvedPreconditionerOptions,
  'ownerRows' | 'maxRows' | 'method' | 'dampingMode' | 'factorHistory' | 'rank' | 'panelRows'
>;

const NOTHING: SideTravel = { way: 'none', form: 0, most: 0 };

/** The weights of a layer, its bias among them. */
export const weightsIn = ({ inFeatures, outFeatures, bias }: NetworkShape): number =>
  outFeatures * (inFeatures + (bias ? 1 : 0));

/** The sum of what all ranks have. */
export const total = (counts: readonly RankCounts[], of: keyof RankCounts): number =>
  counts.reduce((sum, each) => sum + each[of], 0);

const halfOf = (dimension: number): number => (dimension * (dimension + 1)) / 2;

/** Rows that the factor of one process would take in of all ranks'. */
function rowsSeen(layer: Travelling, side: Side, options: TravelOptions): number {
  const { patches, weightSharing = 'expand', maxRows = options.maxRows } = layer.shape;
  if (patches !== undefined && weightSharing === 'expand') return maxRows;
  if (sideForm(side, options) !== 'panel') return Number.POSITIVE_INFINITY;
  return layer.refreshes > 0 ? options.panelRows : options.rank + options.panelRows;
}

/** How a side travels. */
function sideTravel(layer: Travelling, side: Side, rows: number, options: TravelOptions): SideTravel {
  const { ownerRows } = options;
  if (!layer.refresh) return NOTHING;
  if (ownerRows === 'own') return { ...NOTHING, way: 'own' };
  const form = sideForm(side, options);
  const seen = rowsSeen(layer, side, options);
  if (form === 'numbers') return { way: 'factors', form: 1, most: Math.min(rows, seen) };
  const most = Math.min(rows, ownerRows === 'sampled' ? Math.min(seen, options.maxRows) : seen);
  const half = layer.counts.length * halfOf(side.dimension);
  const cheaper = ownerRows === 'auto' && form === 'dense' && half < most * side.features;
  if (ownerRows === 'factors' || cheaper) return { way: 'factors', form: 1, most };
  return { way: most < rows ? 'sampled' : 'all', form: 0, most };
}

/** Whether a direction may be a pair of rows: of a layer whose gradient is made of rows, and never formed. */
const mayBeRows = ({ given, shape }: Travelling, { method, dampingMode }: TravelOptions): boolean =>
  !given && shape.kind === 'dense' && dampingMode === 'factored' && method !== 'kfac';

/** Numbers of a direction: x, or the rows whose product it is where these are fewer. */
export function directionNumbers(layer: Travelling, travel: LayerTravel, options: TravelOptions): number {
  const weights = weightsIn(layer.shape);
  if (!travel.recorded || !mayBeRows(layer, options)) return weights;
  const { input, output } = sidesOf(layer.shape);
  return Math.min(weights, total(layer.counts, 'inputRows') * (input.dimension + output.dimension));
}

/** Numbers that one rank has of a side for the owner. */
export function sideNumbers(side: Side, { way, form, most }: SideTravel, rows: number, all: number): number {
  if (way === 'none' || way === 'own') return 0;
  if (form === 1) return side.numbers ?? halfOf(side.dimension);
  return all === 0 ? 0 : (most * rows * side.features) / all;
}

/** Numbers that one rank sends to the owner. */
function sentNumbers(layer: Travelling, travel: LayerTravel, rank: number): number {
  const own = layer.counts[rank];
  if (own === undefined) return 0;
  if (travel.recorded) return own.inputs + own.outputGrads + (travel.lossGrads ? own.lossGrads : 0);
  const { input, output } = sidesOf(layer.shape);
  const ofInput = sideNumbers(input, travel.input, own.inputRows, total(layer.counts, 'inputRows'));
  const ofOutput = sideNumbers(output, travel.output, own.outputRows, total(layer.counts, 'outputRows'));
  return ofInput + ofOutput + (travel.gradient ? weightsIn(layer.shape) : 0);
}

/** Numbers that all ranks send of a layer, its direction among them. */
function allNumbers(layer: Travelling, travel: LayerTravel, options: TravelOptions): number {
  const others = layer.counts.length - 1;
  const direction = others * directionNumbers(layer, travel, options);
  return layer.counts.reduce(
    (sum, _, rank) => sum + (rank === travel.owner ? 0 : sentNumbers(layer, travel, rank)),
    direction,
  );
}

/**
 * What is to travel of a layer.
 *
 * @param quadratic - Whether the length of the step is made of sampled rows, which go with those that are recorded.
 */
export function travelOf(layer: Travelling, quadratic: boolean, options: TravelOptions): LayerTravel {
  const { owner, given, refresh } = layer;
  const { input, output } = sidesOf(layer.shape);
  const { ownerRows } = options;
  const sides: LayerTravel = {
    owner,
    recorded: false,
    lossGrads: false,
    gradient: true,
    input: sideTravel(layer, input, total(layer.counts, 'inputRows'), options),
    output: sideTravel(layer, output, total(layer.counts, 'outputRows'), options),
  };
  const whole: SideTravel = refresh ? { way: 'all', form: 0, most: Number.POSITIVE_INFINITY } : NOTHING;
  const recorded: LayerTravel = {
    owner,
    recorded: true,
    lossGrads: !given || layer.empirical,
    gradient: given,
    input: whole,
    output: whole,
  };
  const hasRows = total(layer.counts, 'samples') > 0;
  if (!hasRows) return sides;
  if (ownerRows === 'all') return refresh || !given || quadratic ? recorded : sides;
  if (ownerRows !== 'auto' || (given && !refresh)) return sides;
  // a direction that its owner has as rows, more of them than x has numbers, would travel as they are
  if (mayBeRows(layer, options) && directionNumbers(layer, recorded, options) === weightsIn(layer.shape)) return sides;
  // an owner that would take in the rows of all ranks where it takes in sums otherwise is what all of them wait for
  if (total(layer.counts, 'inputs') + total(layer.counts, 'lossGrads') > receivedSums(layer)) return sides;
  const givenToo = given ? (layer.counts.length - 1) * weightsIn(layer.shape) : 0;
  return allNumbers(layer, recorded, options) + givenToo <= allNumbers(layer, sides, options) ? recorded : sides;
}

/** Numbers of a gradient that its owner receives: of few ranks theirs, of many what they have summed. */
const receivedSums = ({ shape, counts: { length } }: Travelling): number =>
  weightsIn(shape) * (length < FEWEST_RELAYING ? length - 1 : 2);

/** Lengths of the arrays that one rank sends of a layer, as the messages have them; gradients may go another way. */
export function sentFields(layer: Travelling, travel: LayerTravel, rank: number, relayed = false) {
  const own = layer.counts[rank];
  const { outFeatures, bias } = layer.shape;
  const fields: { single?: number; double?: number }[] = [];
  if (own === undefined) return fields;
  if (travel.recorded)
    fields.push(
      { single: own.inputs },
      { single: travel.lossGrads ? own.lossGrads : 0 },
      { single: own.outputGrads },
      { double: RECORDED_PLACES + own.parts },
    );
  if (travel.gradient && !relayed) {
    fields.push({ single: weightsIn(layer.shape) - (bias ? outFeatures : 0) });
    if (bias) fields.push({ single: outFeatures });
  }
  if (travel.recorded) return fields;
  const { input, output } = sidesOf(layer.shape);
  for (const [side, sideTravel, rows] of [
    [input, travel.input, 'inputRows'],
    [output, travel.output, 'outputRows'],
  ] as const) {
    if (sideTravel.way === 'none' || sideTravel.way === 'own') continue;
    const numbers = sideNumbers(side, sideTravel, own[rows], total(layer.counts, rows));
    fields.push({ double: META_PLACES + 1 }, { single: Math.round(numbers) });
  }
  return fields;
}

/** Numbers beside a recorded share, its parts apart. */
const RECORDED_PLACES = 6;
/** Numbers beside a side's share, its form apart. */
const META_PLACES = 6;
