import {
  type Communicator,
  info,
  local,
  Preconditioner,
  type PreconditionerOptions,
  type StepPlanOfRanks,
} from 'cgfac';
import type { BenchRow } from '../../harness/rows';
import type { Suite } from '../../harness/suite';
import { networks, type VolumeNetwork } from './networks';

const sizes = [2, 4, 8, 16, 32, 64, 128, 256, 512, 1024];
const BYTES = 4;

/** A rank of a run that is planned and never taken. */
export const planned = (size: number): Communicator => ({ ...local(), size });

/** A preconditioner of a network. */
export function preconditionerOf(
  { layers }: VolumeNetwork,
  communicator: Communicator,
  options: Partial<PreconditionerOptions> = {},
): Preconditioner {
  const preconditioner = new Preconditioner({ lossReduction: 'mean', preset: 'adaptive', communicator, ...options });
  for (const layer of layers) layer.register(preconditioner);
  return preconditioner;
}

/** The plan of a step whose ranks have the network's batch. */
export function planFor(
  preconditioner: Preconditioner,
  { batch, layers }: VolumeNetwork,
  refresh: boolean,
  started?: boolean,
): StepPlanOfRanks {
  const rows = Object.fromEntries(layers.map(({ name, rows: each }) => [name, each]));
  return preconditioner.plan({ batch, rows, refresh, ...(started === undefined ? {} : { started }) });
}

/** What others send in a step that refreshes everything: bytes of each rank. */
export interface Rivals {
  /** J. Pauloski et al., "KAISA", 2021: every rank has every layer's eigenvectors. */
  readonly kaisaCommOpt: number;
  /** KAISA with one owner of a layer, who sends its direction. */
  readonly kaisaMemOpt: number;
  /** L. Zhang et al., "Scalable K-FAC training with distributed preconditioning", 2022: factors of the owner's rows. */
  readonly dpKfac: number;
}

/**
 * Bytes that each rank sends, with q = (P − 1)/P and F = Σd² over all factors: the mean gradient 2qn; of KAISA both
 * factors, 2qF, and eigenvectors with the products of eigenvalues to all, q(F + n), or the directions, qn; of DP-KFAC
 * the directions.
 */
export function rivalsOf({ layers }: VolumeNetwork, weights: number, size: number): Rivals {
  const q = (size - 1) / size;
  const sides = layers.flatMap(({ name, dimensions }) => (name === 'table' ? dimensions.slice(1) : dimensions));
  const squares = sides.reduce((sum, d) => sum + d * d, 0);
  const mean = 2 * q * weights;
  return {
    kaisaCommOpt: BYTES * (mean + 2 * q * squares + q * (squares + weights)),
    kaisaMemOpt: BYTES * (mean + 2 * q * squares + q * weights),
    dpKfac: BYTES * (mean + q * weights),
  };
}

/** How much of the work of the busiest owner there would be if all had the same. */
const balance = ({ work, ranks }: StepPlanOfRanks): number => 1 / (ranks * Math.max(...work));

const megabytes = (bytes: number): number => bytes / 1e6;

function rowsOf(network: VolumeNetwork, size: number): BenchRow[] {
  const communicator = planned(size);
  return (['auto', 'sampled', 'own', 'all'] as const).map((ownerRows) => {
    const preconditioner = preconditionerOf(network, communicator, { ownerRows });
    const refreshing = planFor(preconditioner, network, true, true);
    const keeping = planFor(preconditioner, network, false, true);
    const weights = (refreshing.sgd * size) / (2 * (size - 1) * BYTES);
    const rivals = rivalsOf(network, weights, size);
    const others = ownerRows === 'auto' ? Object.entries(rivals as Readonly<Record<keyof Rivals, number>>) : [];
    return {
      suite: 'volume',
      layer: `${network.name}, P ${size}`,
      batch: network.batch,
      method: ownerRows,
      threads: info().threads,
      figures: {
        sgdMB: megabytes(refreshing.sgd),
        refreshMB: megabytes(refreshing.mean),
        busiestMB: megabytes(refreshing.busiest),
        keepMB: megabytes(keeping.mean),
        ofSgd: (refreshing.mean + 4 * keeping.mean) / 5 / refreshing.sgd,
        balance: balance(refreshing),
        ...Object.fromEntries(others.map(([name, bytes]) => [`${name}MB`, megabytes(bytes)])),
      },
    };
  });
}

/** What travels between ranks, by the plan that a preconditioner makes of its steps; nothing is run. */
export const volume: Suite = {
  name: 'volume',
  summary:
    'megabytes that a rank sends in a step of P ranks: plain data-parallel SGD, a step that refreshes the factors, ' +
    'one that keeps them (of five steps one refreshes), the busiest rank, and what others would send',
  run: ({ progress }) =>
    networks.flatMap((network) =>
      sizes.flatMap((size) => {
        progress.next(`${network.name}, P ${size}`);
        return rowsOf(network, size);
      }),
    ),
};
