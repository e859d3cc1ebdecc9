/** What a step of several ranks sends, before it is taken. */

import { stepReportLength } from '../../native/reports';
import type { NetworkShape } from '../kinds/layer-kind';
import type { NetworkEntry } from '../registry';
import { messageBytes } from './messages';
import type { Owners } from './owners';
import { type OwnedGradient, relays } from './relay';
import {
  directionNumbers,
  type LayerTravel,
  type RankCounts,
  type SideWay,
  sentFields,
  type Travelling,
  type TravelOptions,
  total,
  travelOf,
  weightsIn,
} from './travel';

/** A step that {@link Preconditioner.plan} is asked about: every rank has a share like any other. */
export interface PlanOptions {
  /** Samples of each rank. */
  readonly batch: number;
  /**
   * Samples of each rank whose targets are sampled: under `cgfac()` all of them where the loss is of no known
   * distribution, and where the first half of a rank's batch says too little of the rest. Default: the
   * `fisherFraction` of `batch`.
   */
  readonly sampled?: number;
  /**
   * Rows of a sample by layer, where it has several: time steps or positions of a dense layer, of an embedding, of a
   * scale and shift. Those of convolutions are known. Default: 1.
   */
  readonly rows?: Readonly<Record<string, number>>;
  /** Whether the step is given gradients, as {@link Preconditioner.step} is. Default: false. */
  readonly gradients?: boolean;
  /** Whether it refreshes the factors. Default: true. */
  readonly refresh?: boolean;
  /** Whether the factors have taken in rows before: a panel takes in more at first. Default: whether they have. */
  readonly started?: boolean;
  /** What the loss is, for `stepRule: 'auto'`; see {@link StepOptions}. Default: 'hard'. */
  readonly targets?: 'hard' | 'soft';
}

/** What every rank is taken to have. */
export interface PlannedShares extends Required<Omit<PlanOptions, 'targets' | 'started'>> {
  readonly started: boolean | undefined;
  /** Whether the length of the step is made of sampled rows. */
  readonly quadratic: boolean;
}

/** What travels of one layer. */
export interface PlannedLayer {
  /** The name it was registered under. */
  readonly name: string;
  /** The rank that it belongs to. */
  readonly owner: number;
  /** What its owner has of the other ranks' rows for A. */
  readonly input: SideWay;
  /** What its owner has of the other ranks' rows for G. */
  readonly output: SideWay;
  /** Whether the gradient is made at the owner, of rows that all travel, or each rank sends its own. */
  readonly gradient: 'rows' | 'sum';
  /** Bytes that all ranks send of it, those of its direction among them. */
  readonly bytes: number;
}

/** What a step of several ranks sends: {@link Preconditioner.plan}. */
export interface StepPlanOfRanks {
  /** How many there are. */
  readonly ranks: number;
  /** The layers, in the order of their registration. */
  readonly layers: readonly PlannedLayer[];
  /** Bytes that a rank sends, the mean over all. */
  readonly mean: number;
  /** Bytes that the busiest rank sends or receives, whichever is more. */
  readonly busiest: number;
  /** Bytes that each rank sends in plain data-parallel training: 2(P − 1)/P times the weights. */
  readonly sgd: number;
  /** The estimated work of each rank with the layers that it owns, of all of it. */
  readonly work: readonly number[];
}

const product = (numbers: readonly number[]): number => numbers.reduce((a, b) => a * b, 1);

/** What a rank records of a layer. */
export function countsFor(shape: NetworkShape, samples: number, sampled: number, rows: number): RankCounts {
  const { kind, inFeatures, outFeatures, patches, weightSharing } = shape;
  const parts = 5;
  if (patches === undefined) {
    const width = kind === 'embedding' || kind === 'diagonal' ? 1 : kind === 'scaleShift' ? outFeatures : inFeatures;
    const positions = kind === 'diagonal' ? 1 : rows;
    return {
      inputs: samples * positions * width,
      lossGrads: samples * positions * outFeatures,
      outputGrads: sampled * positions * outFeatures,
      inputRows: samples * positions,
      outputRows: sampled * positions,
      samples,
      parts,
    };
  }
  const positions = product(patches.out);
  const data = product(patches.size) * patches.channels;
  const back = kind === 'transposedConvolution';
  const outputs = back ? data : positions * outFeatures;
  const each = weightSharing === 'reduce' ? 1 : positions;
  return {
    inputs: samples * (back ? positions * inFeatures : data),
    lossGrads: samples * outputs,
    outputGrads: sampled * outputs,
    inputRows: samples * each,
    outputRows: sampled * each,
    samples,
    parts,
  };
}

/** Numbers that all ranks tell each other before a step, and before they write. */
const TOLD = 7 + 2;
/** Numbers beside a report: form, rows, scale and bound of the direction. */
const DIRECTION_PLACES = 4;

interface Traffic {
  readonly sent: number[];
  readonly received: number[];
}

/** Messages that go round a ring until all have them. */
function ring({ sent, received }: Traffic, lengths: readonly number[]): void {
  const all = lengths.reduce((sum, each) => sum + each, 0);
  lengths.forEach((own, rank) => {
    sent[rank] = (sent[rank] ?? 0) + all - (lengths[(rank + 1) % lengths.length] ?? 0);
    received[rank] = (received[rank] ?? 0) + all - own;
  });
}

type Planned = { readonly layer: Travelling; readonly travel: LayerTravel };

/** What ranks send to owners. Ranks that own the same layers get the same messages. */
function toOwners({ sent, received }: Traffic, planned: readonly Planned[], relayed: boolean): void {
  const owners = new Set(planned.map(({ travel }) => travel.owner));
  for (const owner of owners) {
    const own = planned.filter(({ travel }) => travel.owner === owner);
    const bytes = messageBytes(own.flatMap(({ layer, travel }) => sentFields(layer, travel, 0, relayed)));
    sent.forEach((before, rank) => {
      if (rank !== owner) sent[rank] = before + bytes;
    });
    received[owner] = (received[owner] ?? 0) + (sent.length - 1) * bytes;
  }
}

/** Gradients by way of all ranks, each of which sums a piece of them. */
function byRelay({ sent, received }: Traffic, gradients: readonly OwnedGradient[]): void {
  const size = sent.length;
  const all = gradients.reduce((sum, { numbers }) => sum + numbers, 0);
  const bytes = Float32Array.BYTES_PER_ELEMENT;
  for (let rank = 0; rank < size; rank++) {
    const own = gradients.reduce((sum, { owner, numbers }) => sum + (owner === rank ? numbers : 0), 0);
    // all but its own piece, once; then of its sums what is not its own, which is a piece of its layers at the most
    sent[rank] = (sent[rank] ?? 0) + (bytes * (all * (size - 1) + all - own)) / size;
    received[rank] = (received[rank] ?? 0) + (bytes * (all * (size - 1) + own * (size - 1))) / size;
  }
}

/** Fields of the message with a layer's direction. */
function directionFields({ layer, travel }: Planned, products: boolean, options: TravelOptions) {
  const samples = products && travel.recorded ? total(layer.counts, 'samples') : 0;
  return [
    { double: stepReportLength + DIRECTION_PLACES },
    { double: samples },
    { single: directionNumbers(layer, travel, options) },
  ];
}

/** Bytes that all ranks send of one layer, those of its direction among them. */
function bytesOf(planned: Planned, products: boolean, options: TravelOptions): number {
  const { layer, travel } = planned;
  const others = layer.counts.length - 1;
  const bytes = messageBytes(sentFields(layer, travel, 0)) + messageBytes(directionFields(planned, products, options));
  return others * bytes;
}

/**
 * What each rank sends and receives in a step.
 *
 * @param measured - Samples of a rank whose sampled outputs the length of the step is made of; `undefined` of none.
 */
function trafficOf(
  planned: readonly Planned[],
  size: number,
  measured: number | undefined,
  options: TravelOptions,
): Traffic {
  const products = measured !== undefined;
  const traffic = { sent: new Array<number>(size).fill(0), received: new Array<number>(size).fill(0) };
  const owned = planned.flatMap(({ layer, travel: { owner, gradient } }) =>
    gradient ? [{ owner, numbers: weightsIn(layer.shape) }] : [],
  );
  const relayed = relays(owned, size);
  if (relayed) byRelay(traffic, owned);
  toOwners(traffic, planned, relayed);
  const lengths = traffic.sent.map((_, rank) => {
    const own = planned.filter(({ travel }) => travel.owner === rank);
    return messageBytes([{ double: 1 }, ...own.flatMap((each) => directionFields(each, products, options))]);
  });
  ring(traffic, lengths);
  const told = traffic.sent.map(() => TOLD * Float64Array.BYTES_PER_ELEMENT);
  ring(traffic, told);
  const spread = planned.filter(({ travel }) => !travel.recorded);
  if (products && spread.length > 0) {
    const bytes = messageBytes(spread.map(() => ({ double: 1 + measured })));
    ring(
      traffic,
      traffic.sent.map(() => bytes),
    );
  }
  return traffic;
}

/** The plan of a step of ranks with shares of the same size. */
export function planOf(
  entries: readonly NetworkEntry[],
  owners: Owners,
  asked: PlannedShares,
  options: TravelOptions,
): StepPlanOfRanks {
  const { batch, sampled, rows, gradients, refresh, started, quadratic } = asked;
  const size = owners.work.length;
  const planned = entries.map((entry): Planned => {
    const counts = countsFor(entry.shape, batch, sampled, rows[entry.name] ?? 1);
    const layer = {
      name: entry.name,
      shape: entry.shape,
      owner: owners.of(entry.name),
      given: gradients,
      refresh,
      refreshes: Number(started ?? entry.layer.refreshes > 0),
      empirical: sampled === 0,
      counts: Array.from({ length: size }, () => counts),
    };
    return { layer, travel: travelOf(layer, quadratic, options) };
  });
  const traffic = trafficOf(planned, size, quadratic ? batch : undefined, options);
  const weights = entries.reduce((sum, { shape }) => sum + weightsIn(shape), 0);
  const work = owners.work.reduce((sum, each) => sum + each, 0);
  return {
    ranks: size,
    layers: planned.map((each) => ({
      name: each.layer.name,
      owner: each.travel.owner,
      input: each.travel.input.way,
      output: each.travel.output.way,
      gradient: each.travel.gradient ? 'sum' : 'rows',
      bytes: bytesOf(each, quadratic, options),
    })),
    mean: traffic.sent.reduce((sum, each) => sum + each, 0) / size,
    busiest: Math.max(...traffic.sent, ...traffic.received),
    sgd: (2 * (size - 1) * weights * Float32Array.BYTES_PER_ELEMENT) / size,
    work: owners.work.map((each) => each / work),
  };
}
