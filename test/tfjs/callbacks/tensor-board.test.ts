import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import * as tfl from '@tensorflow/tfjs-layers';
import { cgfac, tensorBoard } from 'cgfac/tfjs';
import protobuf from 'protobufjs';
import { crc32c, masked, record, scalarEvent } from '../../../lib/tfjs/callbacks/event-file';

// Messages as tensorflow/core/util/event.proto and framework/summary.proto have them, read by protobufjs.
const { root } = protobuf.parse(`
  syntax = "proto3";
  message Summary { message Value { string tag = 1; float simple_value = 2; } repeated Value value = 1; }
  message Event { double wall_time = 1; int64 step = 2; string file_version = 3; Summary summary = 5; }
`);
const Event = root.lookupType('Event');

interface Told {
  readonly wallTime: number;
  readonly step: string;
  readonly fileVersion?: string;
  readonly summary?: { readonly value: readonly { readonly tag: string; readonly simpleValue: number }[] };
}
const decoded = (data: Uint8Array) => Event.toObject(Event.decode(data), { longs: String }) as Told;

/** The records of a file, each of them with its checksums looked at. */
function records(bytes: Buffer): Buffer[] {
  const found: Buffer[] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = Number(bytes.readBigUInt64LE(at));
    expect(bytes.readUInt32LE(at + 8)).toBe(masked(crc32c(bytes.subarray(at, at + 8))));
    const data = bytes.subarray(at + 12, at + 12 + length);
    expect(bytes.readUInt32LE(at + 12 + length)).toBe(masked(crc32c(data)));
    found.push(data);
    at += 16 + length;
  }
  return found;
}

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'cgfac-events-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** The events of the only file in a folder. */
function eventsOf(part: string): Told[] {
  const names = readdirSync(join(folder, part));
  expect(names).toEqual([expect.stringMatching(/^events\.out\.tfevents\.\d{10}\./)]);
  return records(readFileSync(join(folder, part, names[0] ?? ''))).map(decoded);
}

test.each([
  // RFC 3720, appendix B.4, and the check value of the catalogue of CRCs
  [Buffer.alloc(32), 0x8a9136aa],
  [Buffer.alloc(32, 0xff), 0x62a8ab43],
  [Buffer.from(Array.from({ length: 32 }, (_, i) => i)), 0x46dd794e],
  [Buffer.from('123456789'), 0xe3069283],
])('the checksum of known bytes %#', (bytes, crc) => {
  expect(crc32c(bytes)).toBe(crc);
});

test('a record of known bytes: what TensorFlow 2 writes first into an event file', () => {
  // "brain.Event:2" at the time 0, of 24 bytes
  const data = Buffer.concat([Buffer.from([9, 0, 0, 0, 0, 0, 0, 0, 0, 26, 13]), Buffer.from('brain.Event:2')]);
  const written = record(data);
  // the masked checksum of the length 24 stands in every event file
  expect(written.subarray(0, 12).toString('hex')).toBe('1800000000000000a37f4b22');
  expect(decoded(records(written)[0] ?? Buffer.alloc(0))).toMatchObject({ fileVersion: 'brain.Event:2' });
});

test('numbers of a step come back by an independent reader, and a step beyond 32 bits', () => {
  const event = decoded(
    scalarEvent(
      12.5,
      2 ** 40 + 3,
      new Map([
        ['loss', 0.25],
        ['η', -3e-8],
        ['x', Number.NaN],
      ]),
    ),
  );
  expect(event).toMatchObject({ wallTime: 12.5, step: String(2 ** 40 + 3) });
  expect(event.summary?.value).toEqual([
    { tag: 'loss', simpleValue: 0.25 },
    { tag: 'η', simpleValue: Math.fround(-3e-8) },
    { tag: 'x', simpleValue: Number.NaN },
  ]);
});

describe('under model.fit', () => {
  beforeAll(() => tf.setBackend('cpu'));
  const trained = async (options: Parameters<typeof tensorBoard>[1], wrap = false) => {
    const optimizer = cgfac({ seed: 1 });
    const model = tfl.sequential({ layers: [tfl.layers.dense({ units: 1, inputShape: [3] })] });
    model.compile({ optimizer, loss: 'meanSquaredError', metrics: ['mse'] });
    const x = tf.randomNormal([24, 3], 0, 1, 'float32', 1);
    const y = tf.sum(x, 1, true);
    const board = tensorBoard(folder, { ...options, ...(options?.optimizer ? { optimizer } : {}) });
    const callbacks = wrap ? [tfl.callbacks.earlyStopping({ monitor: 'loss', patience: 9 }), board] : board;
    // TensorFlow.js's types know its own classes alone
    const given = callbacks as unknown as tfl.CustomCallbackArgs;
    const { history } = await model.fit(x, y, {
      epochs: 2,
      batchSize: 8,
      verbose: 0,
      validationSplit: 1 / 3,
      callbacks: given,
    });
    return { history, optimizer };
  };
  const tags = (event: Told | undefined) => event?.summary?.value.map(({ tag }) => tag);

  test.each([
    ['by itself', false],
    ['beside callbacks of TensorFlow.js', true],
  ])('losses and metrics of each epoch, of training and of validation: %s', async (_, wrap) => {
    const { history } = await trained({}, wrap);
    const [first, ...epochs] = eventsOf('train');
    expect(first?.fileVersion).toBe('brain.Event:2');
    expect(epochs.map(({ step }) => step)).toEqual(['1', '2']);
    expect(tags(epochs[0])).toEqual(['epoch_loss', 'epoch_mse']);
    expect(epochs.map(({ summary }) => summary?.value[0]?.simpleValue)).toEqual(
      history.loss?.map((value) => Math.fround(value as number)),
    );
    const [, ...held] = eventsOf('val');
    expect(tags(held[0])).toEqual(['epoch_loss', 'epoch_mse']);
    expect(held.map(({ summary }) => summary?.value[0]?.simpleValue)).toEqual(
      history.val_loss?.map((value) => Math.fround(value as number)),
    );
  });

  test("each batch, and what the optimizer's steps were", async () => {
    const { optimizer } = await trained({ updateFreq: 'batch', optimizer: cgfac() });
    const [, ...events] = eventsOf('train');
    const batches = events.filter((event) => tags(event)?.[0] === 'batch_loss');
    expect(batches.map(({ step }) => step)).toEqual(['1', '2', '3', '4']);
    const last = new Map(batches.at(-1)?.summary?.value.map(({ tag, simpleValue }) => [tag, simpleValue]));
    const { summary } = optimizer.lastStep ?? {};
    const [layer] = summary?.layers ?? [];
    expect(last.get('cgfac/step_size')).toBe(Math.fround(summary?.stepSize ?? Number.NaN));
    expect(last.get('cgfac/fraction')).toBe(Math.fround(summary?.fraction ?? Number.NaN));
    expect(last.get(`cgfac/coefficient/${layer?.name}`)).toBe(Math.fround(layer?.stepSize ?? Number.NaN));
    expect(tags(events.find((event) => tags(event)?.[0] === 'epoch_loss'))).toEqual(['epoch_loss', 'epoch_mse']);
  });
});

test.each([
  [['', {}], 'ERR_CGFAC_INVALID_ARG_VALUE', 'Expected the path of a folder for logdir'],
  [['a\0b', {}], 'ERR_CGFAC_INVALID_ARG_VALUE', "Expected a path without null bytes for logdir but received 'a\\0b'"],
  [[3, {}], 'ERR_CGFAC_INVALID_ARG_TYPE', 'Expected a string for logdir but received'],
  [['x', { updateFreq: 'step' }], 'ERR_CGFAC_INVALID_ARG_VALUE', "Expected 'batch' or 'epoch' for updateFreq"],
  [['x', { optimizer: {} }], 'ERR_CGFAC_INVALID_ARG_TYPE', 'Expected a CgfacOptimizer for optimizer'],
  [['x', { histogramFreq: 1 }], 'ERR_CGFAC_UNKNOWN_OPTION', 'histogramFreq'],
] as const)('%j is refused, and makes no folder', (args, code, message) => {
  const call = () => tensorBoard(...(args as unknown as Parameters<typeof tensorBoard>));
  expect(call).toThrow(expect.objectContaining({ code, message: expect.stringContaining(message) }));
  expect(existsSync('x')).toBe(false);
});

test('a folder that cannot be made, or written to any more, is named with the reason', async () => {
  const file = join(folder, 'file');
  writeFileSync(file, '');
  const expected = (path: string, reason: RegExp) => ({
    code: 'ERR_CGFAC_INVALID_ARG_VALUE',
    message: expect.stringMatching(
      `^Expected a folder that can be written to for logdir but received '${path}': ${reason.source}`,
    ),
    cause: expect.objectContaining({ code: expect.any(String) }),
  });
  const told = tensorBoard(file).onEpochEnd(0, { loss: 1 });
  await expect(told).rejects.toMatchObject(expected(join(file, 'train'), /ENOTDIR: .*mkdir/));
  const nowhere = tensorBoard('/proc/nowhere').onEpochEnd(0, { loss: 1 });
  await expect(nowhere).rejects.toMatchObject(expected('/proc/nowhere/train', /(ENOENT|EACCES|EPERM): .*mkdir/));
  const board = tensorBoard(folder);
  await board.onEpochEnd(0, { loss: 1 });
  rmSync(join(folder, 'train'), { recursive: true });
  const gone = board.onEpochEnd(1, { loss: 1 });
  await expect(gone).rejects.toMatchObject(expected(join(folder, 'train'), /ENOENT: /));
});
