import { BATCH, loadDigits } from '../../datasets/digits';
import { fetchFashion, loadFashion } from '../../datasets/fashion';
import { PIXELS, type PictureSets, type Pictures } from '../../datasets/pictures';

/** What the classifier can be trained on. */
export const DATA = ['digits', 'fashion'] as const;
/** The name of one of the data sets. */
export type DataName = (typeof DATA)[number];

function part({ pixels, labels }: Pictures, first: number, count: number): Pictures {
  return {
    pixels: pixels.subarray(first * PIXELS, (first + count) * PIXELS),
    labels: labels.subarray(first, first + count),
  };
}

/** The pictures of a batch. The last batch of an epoch may be a short one. */
export function batchOf(data: Pictures, step: number): Pictures {
  const batches = Math.ceil(data.labels.length / BATCH);
  const first = (step % batches) * BATCH;
  return part(data, first, Math.min(BATCH, data.labels.length - first));
}

/**
 * The pictures of a data set, those to train on and those held out.
 *
 * @param folder - Of the fashion images' files. Default: Debian's package is looked for, and fetched.
 */
export function loadData(name: DataName, folder?: string): PictureSets {
  return name === 'digits' ? loadDigits() : loadFashion(folder ?? fetchFashion());
}
