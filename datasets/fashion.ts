/** Fashion images (H. Xiao, K. Rasul and R. Vollgraf, "Fashion-MNIST", arXiv 1708.07747, 2017). */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { PIXELS, type PictureSets, type Pictures } from './pictures';

const PACKAGE = 'dataset-fashion-mnist';
/** Where Debian's package puts its files. */
const FOLDER = 'usr/share/datasets/fashion-mnist';
const FILES = {
  training: { images: 'train-images-idx3-ubyte.gz', labels: 'train-labels-idx1-ubyte.gz' },
  heldOut: { images: 't10k-images-idx3-ubyte.gz', labels: 't10k-labels-idx1-ubyte.gz' },
} as const;

/**
 * The bytes of a file in the IDX format: two zeros, the type of the elements (8: unsigned bytes), the number of
 * dimensions, each of them as a big-endian integer of 32 bits, and the elements.
 */
export function parseIdx(file: Buffer): { readonly sizes: readonly number[]; readonly elements: Uint8Array } {
  const dimensions = file.length >= 4 && file.readUInt16BE(0) === 0 && file[2] === 8 ? (file[3] ?? 0) : 0;
  const start = 4 + 4 * dimensions;
  if (dimensions === 0 || file.length < start) throw new Error('This is no IDX file of unsigned bytes.');
  const sizes = Array.from({ length: dimensions }, (_, i) => file.readUInt32BE(4 + 4 * i));
  const count = sizes.reduce((product, size) => product * size, 1);
  if (file.length !== start + count)
    throw new Error(`The IDX file holds ${file.length - start} elements; ${count} are announced.`);
  return { sizes, elements: file.subarray(start) };
}

function readPictures(
  folder: string,
  { images, labels }: { readonly images: string; readonly labels: string },
): Pictures {
  const [pictures, shown] = [images, labels].map((name) => parseIdx(gunzipSync(readFileSync(join(folder, name)))));
  const count = shown?.sizes[0] ?? 0;
  if (!pictures || !shown || pictures.elements.length !== count * PIXELS)
    throw new Error(`${images} and ${labels} do not belong together.`);
  return { pixels: Float32Array.from(pictures.elements, (pixel) => pixel / 255), labels: shown.elements };
}

function complete(folder: string): boolean {
  return Object.values(FILES).every(
    ({ images, labels }) => existsSync(join(folder, images)) && existsSync(join(folder, labels)),
  );
}

/**
 * A folder with the four files: of Debian's package where it is installed, else of the same package unpacked in
 * `downloads`, where apt-get puts it without being root.
 */
export function fetchFashion(downloads = resolve('out', PACKAGE)): string {
  const installed = join('/', FOLDER);
  if (complete(installed)) return installed;
  const unpacked = join(downloads, FOLDER);
  if (complete(unpacked)) return unpacked;
  console.error(`Fetching the Debian package ${PACKAGE} (30 MB) into ${downloads}`);
  mkdirSync(downloads, { recursive: true });
  const shell = `apt-get download ${PACKAGE} && dpkg-deb --extract ${PACKAGE}_*.deb . && rm ${PACKAGE}_*.deb`;
  const { status, stderr } = spawnSync('sh', ['-c', shell], { cwd: downloads, encoding: 'utf8' });
  if (status === 0 && complete(unpacked)) return unpacked;
  rmSync(downloads, { recursive: true });
  throw new Error(
    [
      `The fashion images are not here, and apt-get could not fetch them${stderr ? `: ${stderr.trim()}` : '.'}`,
      `On Debian or Ubuntu: apt-get update && apt-get install ${PACKAGE}, as root.`,
      `Elsewhere: --folder <folder> with the four files ${Object.values(FILES)
        .flatMap(({ images, labels }) => [images, labels])
        .join(', ')} of github.com/zalandoresearch/fashion-mnist.`,
    ].join('\n'),
  );
}

/** The images of a folder with the four files: 60,000 images of clothes for training, 10,000 held out. */
export function loadFashion(folder: string): PictureSets {
  if (!complete(folder)) throw new Error(`The four files of the fashion images are not in ${folder}.`);
  return { training: readPictures(folder, FILES.training), heldOut: readPictures(folder, FILES.heldOut) };
}
