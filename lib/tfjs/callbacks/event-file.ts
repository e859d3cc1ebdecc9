/** Event files as TensorBoard reads them: records of TFRecord, each an Event message of protocol buffers. */
import { appendFileSync, existsSync, mkdirSync } from 'node:fs';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';
import { CgfacError } from '../../adapter-kit';

/** The polynomial of Castagnoli, its bits turned (RFC 3720, appendix B.4). */
const POLYNOMIAL = 0x82f63b78;

const table = Uint32Array.from({ length: 256 }, (_, byte) => {
  let rest = byte;
  for (let bit = 0; bit < 8; bit++) rest = rest & 1 ? (rest >>> 1) ^ POLYNOMIAL : rest >>> 1;
  return rest >>> 0;
});

/** The CRC-32C checksum of bytes. */
export function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = (table[(crc ^ byte) & 0xff] ?? 0) ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

/** A checksum as TFRecord stores it: turned by 15 bits, and a constant added. */
export const masked = (crc: number): number => (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;

/** A record of TFRecord: its length (64 bits), the checksum of that, the data, and their checksum; little-endian. */
export function record(data: Uint8Array): Buffer {
  const out = Buffer.alloc(16 + data.length);
  out.writeBigUInt64LE(BigInt(data.length), 0);
  out.writeUInt32LE(masked(crc32c(out.subarray(0, 8))), 8);
  out.set(data, 12);
  out.writeUInt32LE(masked(crc32c(data)), 12 + data.length);
  return out;
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, BigInt(Math.trunc(value)));
  while (rest > 127n) {
    bytes.push(Number(rest & 127n) | 128);
    rest >>= 7n;
  }
  return Buffer.from([...bytes, Number(rest)]);
}

const LENGTH = 2;
const tag = (field: number, wire: number) => varint(field * 8 + wire);
const bytes = (field: number, content: Uint8Array) =>
  Buffer.concat([tag(field, LENGTH), varint(content.length), content]);
const text = (field: number, content: string) => bytes(field, Buffer.from(content));

function double(field: number, value: number): Buffer {
  const number = Buffer.alloc(8);
  number.writeDoubleLE(value);
  return Buffer.concat([tag(field, 1), number]);
}

function float(field: number, value: number): Buffer {
  const number = Buffer.alloc(4);
  number.writeFloatLE(value);
  return Buffer.concat([tag(field, 5), number]);
}

/** A number under a name: Summary.Value { tag = 1, simple_value = 2 }. */
const scalar = (name: string, value: number) => bytes(1, Buffer.concat([text(1, name), float(2, value)]));

/** Event { wall_time = 1, step = 2, summary = 5 { value = 1 } } of numbers by their names. */
export function scalarEvent(seconds: number, step: number, values: ReadonlyMap<string, number>): Buffer {
  const all = [...values].map(([name, value]) => scalar(name, value));
  return Buffer.concat([double(1, seconds), tag(2, 0), varint(step), bytes(5, Buffer.concat(all))]);
}

/** The first message of a file: Event { wall_time = 1, file_version = 3 }. */
const firstEvent = (seconds: number) => Buffer.concat([double(1, seconds), text(3, 'brain.Event:2')]);

/**
 * Makes a folder and those that it is in; not by `recursive`, which has no end where the system lets none be made, as
 * in /proc.
 */
function makeFolder(path: string): void {
  const parent = dirname(path);
  if (existsSync(path) || parent === path) return;
  makeFolder(parent);
  try {
    mkdirSync(path);
  } catch (error) {
    if (!existsSync(path)) throw error; // another process may have made it meanwhile
  }
}

let files = 0;

/** An event file of its own in a folder, made with the first number; each call is on the disk when it returns. */
export class EventFile {
  readonly #folder: string;
  #path: string | undefined;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /**
   * Writes numbers of a step.
   *
   * @throws {@link CgfacError} `ERR_CGFAC_INVALID_ARG_VALUE` where the folder cannot be made, or written to.
   */
  write(step: number, values: ReadonlyMap<string, number>): void {
    if (values.size === 0) return;
    const now = Date.now() / 1000;
    try {
      this.#path ??= this.#begin(now);
      appendFileSync(this.#path, record(scalarEvent(now, step, values)));
    } catch (cause) {
      const { message } = cause as Error;
      throw new CgfacError(
        'ERR_CGFAC_INVALID_ARG_VALUE',
        `Expected a folder that can be written to for logdir but received '${this.#folder}': ${message}`,
        { cause },
      );
    }
  }

  #begin(now: number): string {
    makeFolder(this.#folder);
    const seconds = String(Math.floor(now)).padStart(10, '0');
    const name = `events.out.tfevents.${seconds}.${hostname()}.${process.pid}.${files++}`;
    const path = join(this.#folder, name);
    appendFileSync(path, record(firstEvent(now)));
    return path;
  }
}
