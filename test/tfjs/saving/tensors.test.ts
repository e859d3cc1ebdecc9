/** What is saved of an optimizer: tensors that nobody has to dispose of, and that are refused where they are others. */
import * as tf from '@tensorflow/tfjs-core';
import { type CgfacOptimizer, cgfac, type NamedTensor } from '../../../lib/tfjs';
import { digestOf } from '../../../lib/tfjs/saving/digest';
import { errorOf, quietScopes } from '../support/backends';
import { classes, classifier, pixels, saved, train, weightsOf } from '../support/models';

quietScopes();

const SEED = 4;

async function trained(steps = 6) {
  const optimizer = cgfac({ seed: SEED });
  const net = classifier(optimizer);
  const [x, y] = [pixels(20, 1), classes(20, 2)];
  await train(net, x, y, steps);
  return { optimizer, net, x, y };
}

const numbers = (weights: readonly NamedTensor[]) => weights.map(({ tensor }) => Array.from(tensor.dataSync()));

/** Weights whose tensor at a place is another. */
const replaced = (weights: readonly NamedTensor[], place: number, tensor: tf.Tensor): NamedTensor[] =>
  weights.map((weight, index) => (index === place ? { ...weight, tensor } : weight));

/** Weights whose table of contents is changed. */
function told(weights: readonly NamedTensor[], change: (contents: string) => string): NamedTensor[] {
  const text = new TextDecoder().decode(Uint8Array.from(weights[2]?.tensor.dataSync() ?? []));
  const codes = Int32Array.from(new TextEncoder().encode(change(text)));
  return replaced(weights, 2, tf.tensor1d(codes, 'int32'));
}

describe('tensors of a state', () => {
  it('are none of a backend, saved with a model or not, so that none is left', async () => {
    const { optimizer, net } = await trained();
    const before = tf.memory();
    for (let time = 0; time < 3; time++) {
      expect((await optimizer.getWeights()).length).toBeGreaterThan(3);
      await saved(net);
    }
    const after = tf.memory();
    expect([after.numTensors, after.numBytes]).toEqual([before.numTensors, before.numBytes]);
  });

  it('are tensors like others, in an op and when they are disposed of', async () => {
    const { optimizer } = await trained();
    const before = tf.memory().numTensors;
    const weights = await optimizer.getWeights();
    const [iter] = weights;
    if (!iter) throw new Error('no weights');
    expect([iter.tensor.shape, iter.tensor.dtype]).toEqual([[], 'int32']);
    expect(tf.tidy(() => tf.add(iter.tensor, 1).dataSync()[0])).toBe(7);
    expect(tf.tidy(() => iter.tensor.clone().dataSync()[0])).toBe(6);
    expect(await iter.tensor.data()).toEqual(Int32Array.of(6));
    tf.dispose(weights.map(({ tensor }) => tensor));
    expect(tf.memory().numTensors).toBe(before);
    expect(iter.tensor.isDisposed).toBe(true);
    expect(() => iter.tensor.dataSync()).toThrow('disposed');
    await expect(iter.tensor.data()).rejects.toThrow('disposed');
    expect(() => tf.add(iter.tensor, 1)).toThrow('disposed');
  });

  it('are as they were when they were asked for, whatever comes after', async () => {
    const { optimizer, net, x, y } = await trained();
    const asked = optimizer.getWeights();
    const now = await optimizer.getWeights();
    await train(net, x, y, 1);
    optimizer.finalizeVariableValues();
    expect(numbers(await asked)).toEqual(numbers(now));
    expect(numbers(now)[0]).toEqual([6]);
  });
});

it('the digest is that of MurmurHash3_x86_32', () => {
  // the four bytes '1234' and the eight bytes '12345678', little-endian, seed 0
  const words = (text: string) => new Int32Array(Uint8Array.from(Buffer.from(text)).buffer);
  expect(digestOf(words(''))).toBe(0);
  expect(digestOf(words('1234'))).toBe(0x721c5dc3);
  expect(digestOf(words('12345678'))).toBe(0x91b313ce);
});

describe('setWeights refuses', () => {
  /** That weights are refused with a code, and that the optimizer goes on as if they had never been given. */
  async function refused(optimizer: CgfacOptimizer, cases: readonly (readonly [string, unknown])[], code: RegExp) {
    const before = numbers(await optimizer.getWeights());
    for (const [name, weights] of cases) {
      const error = await errorOf(() => optimizer.setWeights(weights as NamedTensor[]));
      expect({ name, code: error.code, message: error.message }).toEqual({
        name,
        code: expect.stringMatching(code),
        message: expect.stringMatching(/^Expected .* but received /),
      });
    }
    expect(numbers(await optimizer.getWeights())).toEqual(before);
  }

  it('each tensor that is shorter, another, missing, or of another type', async () => {
    const { optimizer, net, x, y } = await trained();
    const weights = await optimizer.getWeights();
    const { optimizer: other } = await trained(5);
    const foreign = await other.getWeights();
    const cases = weights.flatMap(({ tensor }, place): (readonly [string, unknown])[] => {
      const values = tensor.dataSync();
      const type = tensor.dtype as 'float32' | 'int32';
      const flat = tf.tensor1d(values.length > 0 ? values : [], type);
      const { tensor: instead } = foreign[place] ?? { tensor };
      return [
        [`${place} missing`, weights.filter((_, index) => index !== place)],
        [`${place} twice`, [...weights.slice(0, place + 1), ...weights.slice(place)]],
        ...(values.length > 1
          ? ([[`${place} shorter`, replaced(weights, place, tf.slice(flat, 0, values.length - 1))]] as const)
          : []),
        ...(type === 'float32'
          ? ([[`${place} as integers`, replaced(weights, place, tf.cast(flat, 'int32'))]] as const)
          : []),
        ...(place !== 1 && values.some((value, at) => value !== instead.dataSync()[at])
          ? ([[`${place} of another state`, replaced(weights, place, instead)]] as const)
          : []),
      ];
    });
    await refused(optimizer, cases, /^ERR_CGFAC_INVALID_ARG_VALUE$/);
    expect(cases.length).toBeGreaterThan(3 * weights.length);
    // and it trains on
    const [before] = weightsOf(net);
    await train(net, x, y, 1);
    expect(weightsOf(net)[0]).not.toEqual(before);
  });

  it('tensors in another order', async () => {
    const { optimizer } = await trained();
    const weights = await optimizer.getWeights();
    const bits = weights.map(({ tensor }) => `${tensor.dtype} ${Array.from(tensor.dataSync())}`);
    const swaps = weights.flatMap((first, i) =>
      weights.slice(i + 1).flatMap((second, j): (readonly [string, unknown])[] => {
        const at = i + 1 + j;
        if (bits[i] === bits[at]) return [];
        return [[`${i} and ${at}`, replaced(replaced(weights, i, second.tensor), at, first.tensor)]];
      }),
    );
    await refused(optimizer, [...swaps, ['reversed', [...weights].reverse()]], /^ERR_CGFAC_INVALID_ARG_VALUE$/);
  });

  it('other versions, counts, and whatever is no list of tensors', async () => {
    const { optimizer } = await trained();
    const weights = await optimizer.getWeights();
    const count = (value: number) => replaced(weights, 0, tf.scalar(value, 'int32'));
    const disposed = tf.scalar(1);
    disposed.dispose();
    const hostile = {
      get tensor(): never {
        throw new Error('no');
      },
    };
    const cases = [
      ['version 3', told(weights, (text) => text.replace('"version":2', '"version":3'))],
      ['nested', told(weights, () => '['.repeat(100_000) + ']'.repeat(100_000))],
      ['a count', count(7)],
      ['a negative count', count(-1)],
      ['a seed', replaced(weights, 1, tf.tensor1d([5, 0], 'int32'))],
      ['a negative seed', replaced(weights, 1, tf.tensor1d([1, -1], 'int32'))],
      ['nothing', undefined],
      ['text', 'iter'],
      ['none', []],
      ['null', [null, null]],
      ['a disposed tensor', replaced(weights, 3, disposed)],
      ['numbers', [{ tensor: [1] }, { tensor: [1, 2] }]],
      ['a getter', [hostile, hostile]],
    ] as const;
    await refused(optimizer, cases, /^ERR_CGFAC_INVALID_ARG_(VALUE|TYPE)$/);
    const { message } = await errorOf(() => optimizer.setWeights(cases[0][1] as NamedTensor[]));
    expect(message).toMatch(/a state of version 2, .* received one of version 3; load it with the release/);
  });

  it('anything while the averages stand in for the weights', async () => {
    const { optimizer } = await trained();
    const weights = await optimizer.getWeights();
    await optimizer.withAveragedWeights(() => refused(optimizer, [['its own', weights]], /^ERR_CGFAC_BUSY$/));
  });
});

it('a state without a version, as releases before saved it, goes on where it was', async () => {
  const { optimizer, net, x, y } = await trained();
  const without = told(await optimizer.getWeights(), (text) => {
    const { version: _, iterations: __, seed: ___, ...contents } = JSON.parse(text);
    return JSON.stringify(contents, (name, value) => {
      const isOfVariable = (name === 'kernel' || name === 'bias') && 'shape' in value;
      return isOfVariable || name === 'digest' ? undefined : value;
    });
  });
  const second = cgfac({ seed: SEED });
  await second.setWeights(without);
  const copy = classifier(second);
  copy.setWeights(net.getWeights());
  expect((await errorOf(() => second.withAveragedWeights(() => 0))).code).toBe('ERR_CGFAC_INVALID_ARG_VALUE');
  for (const each of [net, copy]) await train(each, x, y, 2);
  expect(second.lastStep?.summary?.step).toBe(7);
  expect(weightsOf(copy)).toEqual(weightsOf(net));
});
