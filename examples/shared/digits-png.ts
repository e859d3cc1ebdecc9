import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { PNG } from 'pngjs';

const SIDE = 28;
const SCALE = 3;
const GAP = 4;
const BACKGROUND = 96;

/**
 * Writes digits as a PNG, one row of the picture per array, white ink on black. Each array is (columns × 784),
 * row-major, values 0 to 1.
 */
export function writeDigitsPng(file: string, rows: readonly Float32Array[], columns: number): void {
  const cell = SIDE * SCALE + GAP;
  const png = new PNG({ width: columns * cell + GAP, height: rows.length * cell + GAP, colorType: 0 });
  png.data.fill(BACKGROUND);
  const put = (x: number, y: number, grey: number) =>
    png.data.fill(grey, 4 * (y * png.width + x), 4 * (y * png.width + x) + 3);
  for (let i = 3; i < png.data.length; i += 4) png.data[i] = 255;

  rows.forEach((digits, row) => {
    for (let column = 0; column < columns; column++) {
      for (let y = 0; y < SIDE * SCALE; y++) {
        for (let x = 0; x < SIDE * SCALE; x++) {
          const pixel = digits[(column * SIDE + Math.floor(y / SCALE)) * SIDE + Math.floor(x / SCALE)] ?? 0;
          put(GAP + column * cell + x, GAP + row * cell + y, Math.round(255 * Math.min(1, Math.max(0, pixel))));
        }
      }
    }
  });

  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, PNG.sync.write(png, { colorType: 0 }));
}
