/** The files of fashion images, made up. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { PIXELS } from '../../datasets/pictures';

/** An IDX file of unsigned bytes. */
export function idx(sizes: readonly number[], elements: readonly number[]): Buffer {
  const head = Buffer.alloc(4 + 4 * sizes.length);
  head.set([0, 0, 8, sizes.length]);
  sizes.forEach((size, i) => {
    head.writeUInt32BE(size, 4 + 4 * i);
  });
  return Buffer.concat([head, Buffer.from(elements)]);
}

/** The four files, `count` pictures for training and one held out: picture i has the label i and pixels 51·i. */
export function writeFashion(folder: string, count: number): void {
  const write = (prefix: string, labels: readonly number[]) => {
    const pixels = labels.flatMap((label) => Array.from({ length: PIXELS }, () => 51 * label));
    writeFileSync(join(folder, `${prefix}-images-idx3-ubyte.gz`), gzipSync(idx([labels.length, 28, 28], pixels)));
    writeFileSync(join(folder, `${prefix}-labels-idx1-ubyte.gz`), gzipSync(idx([labels.length], labels)));
  };
  write(
    'train',
    Array.from({ length: count }, (_, i) => i % 6),
  );
  write('t10k', [5]);
}
