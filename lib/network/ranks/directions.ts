/** The directions of all layers, as their owners hand them to the other ranks. */
import { isFloat32Array, isFloat64Array } from 'node:util/types';
import { describe } from '../../base/validate';
import { callNative } from '../../native/call';
import { native } from '../../native/load';
import { stepReportLength } from '../../native/reports';
import type { PreparedResult } from '../step/phases';
import { unexpected } from './checked';
import { type Field, packed, unpacked } from './messages';
import type { SharedLayer } from './sharing';
import { statusIn } from './trouble';

/** What an owner says of its layers: how it fares, and of each its report, products and direction. */
export function directionsMessage(status: number, owned: readonly SharedLayer[], results: readonly PreparedResult[]) {
  const fields: Field[] = [Float64Array.of(status)];
  for (const [index, { entry, travel }] of owned.entries()) {
    const result = results[index];
    if (result === undefined) continue;
    const { numbers, meta } = callNative(() => native.direction(entry.layer.native));
    // of rows that are not all here the products are not, either
    const products = travel.recorded ? result.products : undefined;
    fields.push(Float64Array.of(...result.report, ...meta), products ?? new Float64Array(), numbers);
  }
  return packed(fields);
}

/** How each rank fares. */
export function statusesOf(messages: readonly Float32Array[]): number[] {
  return messages.map((message) => statusIn(unpacked(message, 'allgatherv')[0]?.[0], 'allgatherv'));
}

/** The layers take over the directions of their owners; what was reported of each. */
export function takeDirections(
  layers: readonly SharedLayer[],
  messages: readonly Float32Array[],
  rank: number,
): PreparedResult[] {
  const fields = messages.map((message) => unpacked(message, 'allgatherv').slice(1));
  const next = fields.map(() => 0);
  return layers.map(({ entry, travel: { owner } }) => {
    const at = next[owner] ?? 0;
    const [told, products, numbers] = (fields[owner] ?? []).slice(at, at + 3);
    next[owner] = at + 3;
    if (!(isFloat64Array(told) && isFloat64Array(products) && isFloat32Array(numbers)))
      throw unexpected('allgatherv', `the direction of layer ${describe(entry.name)} from rank ${owner}`, 'none');
    const meta = told.slice(stepReportLength);
    if (owner !== rank) callNative(() => native.takeDirection(entry.layer.native, { numbers, meta }));
    return { report: told.slice(0, stepReportLength), products: products.length > 0 ? products : undefined };
  });
}
