/** What a {@link Preconditioner} takes in of a batch. */
import { boolean, checkRequired, nonNegativeInteger, positiveInteger, readOptions, valueError } from '../base/validate';
import type { Network } from './network';
import { newSamples } from './registry';
import type { RecordedBatchRows, RecordedFisherRows } from './types';

const recordNames = ['inputs', 'lossGrads', 'batch', 'site'];
const fisherNames = ['outputGrads', 'batch', 'forFactors'];

/** Takes in a layer's rows of one batch; see {@link Preconditioner.record}. */
export function recordRows(network: Network, name: string, given: RecordedBatchRows): void {
  const rows = readOptions(given, 'record', recordNames);
  const entry = network.entry(name);
  checkRequired(rows, 'record', { ...entry?.kind.required, batch: 'a positive integer' });
  if (entry === undefined) return;
  const batch = positiveInteger(rows.batch, 'batch');
  const checked = entry.kind.rows(entry.shape, rows.inputs, rows.lossGrads, batch);
  const site = rows.site === undefined ? 0 : nonNegativeInteger(rows.site, 'site');
  if (entry.layer.recorded && entry.layer.ownGradient !== (checked.lossGrads !== undefined))
    throw valueError('lossGrads with all rows of a step, or with none', 'lossGrads', rows.lossGrads);
  const counted = newSamples(entry, site, batch);
  entry.layer.record({ ...checked, ...counted, batch, factor: network.sampleFactor(batch) });
  entry.samples.set(site, counted.firstSample + batch);
  if (entry.shape.kind === 'dense') entry.inputs.add(checked.inputs, checked.rows);
}

/** Takes in output gradients of sampled targets; see {@link Preconditioner.recordFisher}. */
export function recordFisherRows(network: Network, name: string, given: RecordedFisherRows): void {
  const rows = readOptions(given, 'recordFisher', fisherNames);
  checkRequired(rows, 'recordFisher', { outputGrads: 'a Float32Array', batch: 'a positive integer' });
  const entry = network.entry(name);
  if (entry === undefined) return;
  const batch = positiveInteger(rows.batch, 'batch');
  const checked = entry.kind.fisherRows(entry.shape, rows.outputGrads, batch);
  const forFactors = boolean(rows.forFactors ?? true, 'forFactors');
  entry.layer.recordFisher({ ...checked, samples: batch, forFactors, factor: network.sampleFactor(batch) });
}
