import * as tf from '@tensorflow/tfjs-core';
import { initializers, layers, type Sequential, sequential } from '@tensorflow/tfjs-layers';
import { CgfacError } from '../../../lib/adapter-kit';
import { cgfac, type InstalledKernels, installKernels, type TfjsKernelRegistry } from '../../../lib/tfjs';
import { normal as draw, errorOf, relativeError, useBackend, variable } from '../support/backends';

const drawn = new Map<string, Float32Array>();
/** Normal numbers as in backends.ts, drawn once: a tensor of the backend that is the current one. */
function normal(shape: number[], seed: number): tf.Tensor {
  const key = `${shape} ${seed}`;
  const values = drawn.get(key) ?? numbers(draw(shape, seed));
  drawn.set(key, values);
  return tf.tensor(values, shape);
}

/** float32 sums of up to a thousand terms, in another order than the cpu backend's. */
const TOLERANCE = 1e-5;

interface WasmBackend extends tf.KernelBackend {
  readonly wasm: { readonly HEAPU8: Uint8Array };
}
const backend = () => tf.backend() as WasmBackend;
const heap = () => backend().wasm.HEAPU8.buffer;

let installed: InstalledKernels | undefined;
const install = () => {
  installed = installKernels(tf);
  return installed;
};
let warn: jest.SpyInstance;
beforeEach(() => {
  warn = jest.spyOn(console, 'warn').mockImplementation(() => undefined);
});
afterEach(() => {
  installed?.uninstall();
  warn.mockRestore();
});

/** The numbers of a tensor, which is disposed of. */
function numbers(tensor: tf.Tensor): Float32Array {
  const values = tensor.dataSync<'float32'>();
  const copy = Float32Array.from(values);
  tensor.dispose();
  return copy;
}

const boolean = [false, true];
const transposes = boolean.flatMap((transposeA) => boolean.map((transposeB) => ({ transposeA, transposeB })));
type Transposes = (typeof transposes)[number];
const [rows, inner, cols] = [34, 220, 35] as const;
const shapeA = (batch: number[], { transposeA }: Transposes) => [
  ...batch,
  ...(transposeA ? [inner, rows] : [rows, inner]),
];
const shapeB = (batch: number[], { transposeB }: Transposes) => [
  ...batch,
  ...(transposeB ? [cols, inner] : [inner, cols]),
];
const called = ({ transposeA, transposeB }: Transposes) => `${transposeA ? 'Aᵀ' : 'A'} ${transposeB ? 'Bᵀ' : 'B'}`;

/** Runs cases on the cpu backend, then on the wasm backend with the kernels installed, and compares. */
async function compare(
  cases: readonly { readonly name: string; readonly cpu: () => tf.Tensor; readonly wasm: () => tf.Tensor }[],
) {
  await useBackend('cpu');
  const expected = cases.map(({ cpu }) => {
    const result = tf.tidy(cpu);
    return { shape: result.shape, values: numbers(result) };
  });
  await useBackend('wasm');
  const kernels = install();
  cases.forEach(({ name, wasm }, which) => {
    const tensors = tf.memory().numTensors;
    const result = tf.tidy(wasm);
    const error = relativeError(result.dataSync(), expected[which]?.values ?? []);
    // written so that NaN fails, and the name shows
    expect({ name, shape: result.shape, close: error <= TOLERANCE }).toEqual({
      name,
      shape: expected[which]?.shape,
      close: true,
    });
    result.dispose();
    expect(tf.memory().numTensors).toBe(tensors);
  });
  expect(kernels.nativeProducts).toBe(cases.length);
}

const at = (shape: number[], seed: number, batch: number[]) =>
  tf.broadcastTo(normal(shape, seed), [...batch, ...shape.slice(-2)]);

describe('products equal those of the cpu backend', () => {
  const batches: readonly [number[], number[], number[]][] = [
    [[], [], []],
    [[3], [3], [3]],
    [[3], [1], [3]],
    [[1], [3], [3]],
    [[3], [], [3]],
    [[], [3], [3]],
    [
      [2, 3],
      [2, 3],
      [2, 3],
    ],
    [
      [2, 1],
      [2, 3],
      [2, 3],
    ],
    [
      [2, 1],
      [1, 3],
      [2, 3],
    ],
    [[2, 3], [3], [2, 3]],
  ];

  it.each(transposes)(
    'tf.matMul, transposes $transposeA and $transposeB, every broadcast of batch dimensions',
    async (flags) => {
      const { transposeA, transposeB } = flags;
      await compare(
        batches.map(([a, b, batch]) => ({
          name: `[${a}] and [${b}]`,
          // both operands written out: the cpu backend takes the wrong matrices where both broadcast
          cpu: () => tf.matMul(at(shapeA(a, flags), 1, batch), at(shapeB(b, flags), 2, batch), transposeA, transposeB),
          wasm: () => tf.matMul(normal(shapeA(a, flags), 1), normal(shapeB(b, flags), 2), transposeA, transposeB),
        })),
      );
    },
  );

  const activations = ['linear', 'relu', 'relu6', 'prelu', 'leakyrelu', 'sigmoid', 'elu'] as const;
  const biases: readonly (number[] | undefined)[] = [
    undefined,
    [cols],
    [1],
    [1, cols],
    [rows, 1],
    [rows, cols],
    [3, rows, cols],
    [3, 1, 1],
  ];
  const slopes: readonly number[][] = [[cols], [1], [rows, cols], [rows, 1]];
  const fusedBatches = [[1, 1] as const, [3, 3] as const, [3, 1] as const, [1, 3] as const];

  const unfused: Readonly<Record<(typeof activations)[number], (z: tf.Tensor, slopes: tf.Tensor) => tf.Tensor>> = {
    linear: (z) => z,
    relu: tf.relu,
    relu6: tf.relu6,
    prelu: tf.prelu,
    leakyrelu: (z) => tf.leakyRelu(z, 0.3),
    sigmoid: tf.sigmoid,
    elu: tf.elu,
  };

  const fusedCases = (flags: Transposes) =>
    fusedBatches.flatMap(([a, b]) => {
      const batch = [Math.max(a, b)];
      const { transposeA, transposeB } = flags;
      let known: Float32Array | undefined;
      const product = () => {
        known ??= numbers(
          tf.matMul(at(shapeA([a], flags), 1, batch), at(shapeB([b], flags), 2, batch), transposeA, transposeB),
        );
        return tf.tensor(known, [...batch, rows, cols]);
      };
      return biases.flatMap((bias) => {
        if (bias?.[0] === 3 && batch[0] !== 3) return [];
        return activations.flatMap((activation) =>
          (activation === 'prelu' ? slopes : [undefined]).map((slope) => {
            const options = { ...flags, activation, leakyreluAlpha: 0.3 };
            return {
              name: `batches ${a} and ${b}, bias [${bias}], ${activation} [${slope}]`,
              cpu: () => {
                const z = tf.add(product(), bias ? normal(bias, 3) : 0);
                return unfused[activation](z, normal(slope ?? [1], 4));
              },
              wasm: () =>
                tf.fused.matMul({
                  a: normal(shapeA([a], flags), 1),
                  b: normal(shapeB([b], flags), 2),
                  ...options,
                  ...(bias && { bias: normal(bias, 3) }),
                  ...(slope && { preluActivationWeights: normal(slope, 4) }),
                }),
            };
          }),
        );
      });
    });

  it.each(transposes)('tf.fused.matMul, transposes $transposeA and $transposeB, every bias and activation', (flags) =>
    compare(fusedCases(flags)),
  );

  // [rows, inner, cols]: in blocks of columns, in blocks of rows, one row, one column, a long sum
  const sizes: readonly [number, number, number][] = [
    [130, 140, 517],
    [1031, 40, 90],
    [1, 700, 900],
    [900, 700, 1],
    [7, 9000, 11],
  ];
  it.each(sizes)('%i × %i × %i, with a bias for each place', async (m, k, n) => {
    const product = ({ transposeA, transposeB }: Transposes) =>
      tf.fused.matMul({
        a: normal(transposeA ? [k, m] : [m, k], 1),
        b: normal(transposeB ? [n, k] : [k, n], 2),
        transposeA,
        transposeB,
        bias: normal([m, n], 3),
        preluActivationWeights: normal([m, 1], 4),
        activation: 'prelu',
      });
    await compare(
      transposes.map((flags) => ({ name: called(flags), cpu: () => product(flags), wasm: () => product(flags) })),
    );
  });

  it('with NaN and infinity in the data', async () => {
    await useBackend('wasm');
    const [a, b] = [tf.fill([100, 100], Number.NaN), tf.fill([100, 100], Number.POSITIVE_INFINITY)];
    const ones = tf.ones([100, 100]);
    install();
    for (const activation of activations.filter((name) => name !== 'prelu')) {
      expect(numbers(tf.fused.matMul({ a, b: ones, activation })).every(Number.isNaN)).toBe(true);
    }
    expect(numbers(tf.matMul(ones, b)).every((x) => x === Number.POSITIVE_INFINITY)).toBe(true);
    // the memory of an output may hold NaN
    numbers(tf.fill([100, 100], Number.NaN));
    expect(numbers(tf.matMul(ones, ones)).every((x) => x === 100)).toBe(true);
    tf.dispose([a, b, ones]);
  });
});

describe('what goes where', () => {
  beforeEach(() => useBackend('wasm'));
  const product = (m: number, k: number, n: number, transposeB = false) =>
    tf.tidy(() => tf.matMul(tf.ones([m, k]), transposeB ? tf.ones([n, k]) : tf.ones([k, n]), false, transposeB));
  const counts = ({ nativeProducts, stockProducts }: InstalledKernels) => [nativeProducts, stockProducts];

  it('small products to the stock kernel, large ones to this package, transposed ones sooner', () => {
    const kernels = install();
    product(4, 5, 6).dispose();
    expect(counts(kernels)).toEqual([0, 1]);
    product(100, 100, 100).dispose();
    expect(counts(kernels)).toEqual([1, 1]);
    product(20, 20, 20).dispose();
    expect(counts(kernels)).toEqual([1, 2]);
    product(20, 20, 20, true).dispose();
    expect(counts(kernels)).toEqual([2, 2]);
  });

  it('a batch by the flops of all of it', () => {
    const kernels = install();
    tf.tidy(() => tf.matMul(tf.ones([50, 20, 20]), tf.ones([50, 20, 20]))).dispose();
    expect(counts(kernels)).toEqual([1, 0]);
  });

  it('small products that the stock kernel does not compute, here', () => {
    const kernels = install();
    const [a, b] = [normal([2, 1, 3, 4], 1), normal([1, 3, 4, 2], 2)];
    expect(numbers(tf.matMul(a, b))).toHaveLength(2 * 3 * 3 * 2);
    const bias = tf.tensor2d([[1], [2]]);
    expect(Array.from(numbers(tf.fused.matMul({ a: tf.ones([2, 3]), b: tf.ones([3, 2]), bias })))).toEqual([
      4, 4, 5, 5,
    ]);
    expect(counts(kernels)).toEqual([2, 0]);
  });

  it('empty products to the stock kernel, with what it gives', () => {
    const kernels = install();
    const empty = product(0, 1000, 1000);
    expect(empty.shape).toEqual([0, 1000]);
    expect(counts(kernels)).toEqual([0, 1]);
  });

  it('integers to the stock kernel, with its error', async () => {
    const integers = () => tf.matMul(tf.ones([200, 200], 'int32'), tf.ones([200, 200], 'int32'));
    const stock = (await errorOf(integers)).message;
    const kernels = install();
    expect((await errorOf(integers)).message).toBe(stock);
    expect(counts(kernels)).toEqual([0, 1]);
  });

  it('shapes that do not fit are an error of TensorFlow.js', async () => {
    install();
    const product = () => tf.matMul(tf.ones([200, 300]), tf.ones([400, 200]));
    expect((await errorOf(product)).message).toMatch(/inner shapes/);
  });
});

describe('installing', () => {
  const registered = () => ['BatchMatMul', '_FusedMatMul'].map((name) => tf.getKernel(name, 'wasm'));
  const large = () => tf.tidy(() => tf.matMul(tf.ones([100, 100]), tf.ones([100, 100])));
  beforeEach(() => useBackend('wasm'));

  it('is undone by uninstall, without a word of TensorFlow.js', () => {
    const stock = registered();
    const kernels = install();
    expect(kernels.installed).toBe(true);
    registered().forEach((config, which) => {
      expect(config).not.toBe(stock[which]);
    });
    large().dispose();
    expect(kernels.nativeProducts).toBe(1);
    kernels.uninstall();
    kernels.uninstall();
    expect(kernels.installed).toBe(false);
    registered().forEach((config, which) => {
      expect(config).toBe(stock[which]);
    });
    large().dispose();
    expect([kernels.nativeProducts, kernels.stockProducts]).toEqual([1, 0]);
    expect(warn).not.toHaveBeenCalled();
  });

  it('twice gives what the first time gave, and one uninstall undoes both', () => {
    const stock = registered();
    const kernels = install();
    expect(installKernels()).toBe(kernels);
    kernels.uninstall();
    expect(registered()).toEqual(stock);
    expect(install()).not.toBe(kernels);
  });

  it('leaves a kernel alone that was registered over it', () => {
    const [stock] = registered();
    const kernels = install();
    const [own] = registered();
    const other = { ...(own as tf.KernelConfig) };
    tf.unregisterKernel('BatchMatMul', 'wasm');
    tf.registerKernel(other);
    expect(install()).not.toBe(kernels);
    expect(kernels.installed).toBe(false);
    large().dispose();
    expect(installed?.nativeProducts).toBe(1);
    installed?.uninstall();
    expect(tf.getKernel('BatchMatMul', 'wasm')).toBe(other);
    tf.unregisterKernel('BatchMatMul', 'wasm');
    tf.registerKernel(stock as tf.KernelConfig);
  });

  it('before the backend is set up lasts over its set-up', async () => {
    await useBackend('cpu');
    const factory = tf.findBackendFactory('wasm');
    tf.removeBackend('wasm');
    tf.registerBackend('wasm', factory, 2);
    const kernels = install();
    await useBackend('wasm');
    expect(numbers(large()).every((x) => x === 100)).toBe(true);
    expect(kernels.nativeProducts).toBe(1);
  });

  const refused: readonly [string, unknown, string, RegExp][] = [
    [
      'a tf that is not TensorFlow.js',
      { ...tf, registerKernel: undefined },
      'ERR_CGFAC_INVALID_ARG_TYPE',
      /function registerKernel for tf/,
    ],
    ['null', null, 'ERR_CGFAC_INVALID_ARG_TYPE', /for tf but received null/],
    [
      'no wasm backend',
      { ...tf, getKernel: () => undefined },
      'ERR_CGFAC_TFJS_BACKEND',
      /a kernel 'BatchMatMul' .* backend 'wasm'/,
    ],
    [
      'a backend without a heap',
      { ...tf, backend: () => ({ makeOutput() {}, disposeData() {}, dataIdMap: new Map() }) },
      'ERR_CGFAC_TFJS_BACKEND',
      /HEAPU8/,
    ],
    ['a backend of another form', { ...tf, backend: () => ({}) }, 'ERR_CGFAC_TFJS_BACKEND', /makeOutput/],
  ];
  it.each(refused)('is refused for %s, and changes nothing', async (_, module, code, message) => {
    const stock = registered();
    const error = await errorOf(() => installKernels(module as TfjsKernelRegistry));
    expect(error).toBeInstanceOf(CgfacError);
    expect(error.code).toBe(code);
    expect(error.message).toMatch(message);
    expect(registered()).toEqual(stock);
  });
});

describe('the memory of the wasm heap', () => {
  beforeEach(() => useBackend('wasm'));
  const [n, k] = [2048, 2];
  /** Row i of the product holds i + 1. */
  const rowsOf = (count: number) =>
    tf.tensor2d(
      Float32Array.from({ length: count * k }, (_, at) => (Math.floor(at / k) + 1) / k),
      [count, k],
    );
  const isRight = (values: ArrayLike<number>) => {
    for (let at = 0; at < values.length; at++) if (values[at] !== Math.floor(at / n) + 1) return false;
    return values.length > 0;
  };

  it('may be replaced between installing and a product', () => {
    const kernels = install();
    const [a, b] = [rowsOf(n), tf.ones([k, n])];
    const before = heap();
    const ballast: tf.Tensor[] = [];
    while (heap() === before) ballast.push(tf.zeros([1 << 22]));
    expect(isRight(numbers(tf.matMul(a, b)))).toBe(true);
    expect(kernels.nativeProducts).toBe(1);
    tf.dispose([a, b, ...ballast]);
  });

  it('may be replaced by the output of the product itself', () => {
    const kernels = install();
    const [a, b] = [rowsOf(n), tf.ones([k, n])];
    const outputs: tf.Tensor[] = [];
    let grown = 0;
    // 16 MiB each: the heap, of 4 GiB at most, has to grow for some of them
    while (grown < 2) {
      const before = heap();
      const out = tf.matMul(a, b);
      outputs.push(out);
      if (heap() === before) continue;
      grown++;
      expect(before).toHaveProperty('byteLength', 0); // detached: what was a view of it is empty
      expect(isRight(out.dataSync())).toBe(true);
    }
    expect(kernels.nativeProducts).toBe(outputs.length);
    tf.dispose([a, b, ...outputs]);
  });

  it('takes in a tensor of another backend, which may make it grow', async () => {
    await useBackend('cpu');
    const [a, b] = [rowsOf(n), tf.ones([k, n])];
    await useBackend('wasm');
    install();
    expect(isRight(numbers(tf.matMul(a, b)))).toBe(true);
    tf.dispose([a, b]);
  });

  it('keeps nothing of a product', () => {
    const [a, b] = [normal([3, 100, 100], 1), normal([100, 100], 2)];
    install();
    const before = [tf.memory().numTensors, tf.memory().numBytes, backend().numDataIds()];
    tf.matMul(a, b).dispose();
    tf.tidy(() => tf.dispose(tf.fused.matMul({ a, b, bias: normal([100], 3), activation: 'relu' })));
    expect([tf.memory().numTensors, tf.memory().numBytes, backend().numDataIds()]).toEqual(before);
    tf.dispose([a, b]);
  });

  it('that has run out is an error, and the output is disposed of', async () => {
    const [a, b] = [normal([100, 100], 1), normal([100, 100], 2)];
    install();
    const full = Object.create(backend()) as WasmBackend & Record<string, unknown>;
    const real = tf.backend() as unknown as { dataIdMap: { get(id: object): unknown } };
    const output = { dataId: {}, shape: [100, 100], dtype: 'float32' as const };
    Object.assign(full, {
      dataIdMap: { get: (id: object) => (id === output.dataId ? { memoryOffset: 0 } : real.dataIdMap.get(id)) },
      makeOutput: () => output,
      disposeData: jest.fn(),
    });
    const run = () => tf.getKernel('BatchMatMul', 'wasm').kernelFunc({ inputs: { a, b }, attrs: {}, backend: full });
    expect(await errorOf(run)).toMatchObject({ code: 'ERR_CGFAC_OUT_OF_MEMORY' });
    expect(full.disposeData).toHaveBeenCalledWith(output.dataId);
    tf.dispose([a, b]);
  });
});

describe('training', () => {
  const batch = 8;
  const widths = [784, 1000, 500, 250, 30, 250, 500, 1000, 784];

  /** The gradients of the deep autoencoder. */
  const gradients = () => {
    const kernels = widths
      .slice(1)
      .map((m, at) =>
        tf.tidy(() => tf.variable(tf.mul(normal([widths[at] ?? 0, m], at), Math.sqrt(2 / (m + (widths[at] ?? 0)))))),
      );
    const biases = widths.slice(1).map((m, at) => variable([m], 50 + at));
    const x = tf.tidy(() => tf.sigmoid(normal([batch, 784], 99)));
    const loss = () => {
      const z = kernels.reduce<tf.Tensor>((input, kernel, at) => {
        const sum = tf.add(tf.matMul(input, kernel), biases[at] as tf.Variable);
        return at === kernels.length - 1 ? sum : tf.tanh(sum);
      }, x);
      return tf.losses.sigmoidCrossEntropy(x, z) as tf.Scalar;
    };
    const variables = [...kernels, ...biases];
    const { value, grads } = tf.variableGrads(loss, variables);
    const arrays = variables.map(({ name }) => numbers(grads[name] as tf.Tensor));
    tf.dispose([value, x, ...variables]);
    return arrays;
  };

  it('gradients of the deep autoencoder equal those of the cpu backend, variable by variable', async () => {
    await useBackend('cpu');
    const expected = gradients();
    await useBackend('wasm');
    const kernels = install();
    const before = tf.memory().numTensors;
    gradients().forEach((gradient, which) => {
      expect(relativeError(gradient, expected[which] ?? [])).toBeLessThanOrEqual(TOLERANCE);
    });
    expect(kernels.nativeProducts).toBe(3 * 8 - 1); // nobody asks for the gradient of x
    expect(tf.memory().numTensors).toBe(before);
  });

  const model = (): Sequential => {
    const dense = (units: number, seed: number, given: object) =>
      layers.dense({ units, kernelInitializer: initializers.glorotNormal({ seed }), ...given });
    return sequential({
      layers: [
        dense(100, 1, { activation: 'tanh', inputShape: [80] }),
        dense(70, 2, { activation: 'relu' }),
        dense(60, 3, { activation: 'sigmoid' }),
        dense(10, 4, { activation: 'softmax' }),
      ],
    });
  };
  const train = async (optimizer: tf.Optimizer) => {
    const net = model();
    net.compile({ optimizer, loss: 'categoricalCrossentropy' });
    const x = normal([128, 80], 5);
    const y = tf.tidy(() =>
      tf.cast(
        tf.oneHot(
          tf.tensor1d(
            Array.from({ length: 128 }, (_, at) => (at * 7) % 10),
            'int32',
          ),
          10,
        ),
        'float32',
      ),
    );
    const { history } = await net.fit(x, y, { batchSize: 64, epochs: 3, shuffle: false, verbose: 0 });
    const weights = net.getWeights().map((weight) => Float32Array.from(weight.dataSync()));
    net.dispose();
    tf.dispose([x, y]);
    return { weights, losses: history.loss as number[] };
  };

  it('model.fit by gradient descent gives the weights that the cpu backend gives', async () => {
    await useBackend('cpu');
    const expected = await train(tf.train.sgd(0.1));
    await useBackend('wasm');
    const kernels = install();
    const { weights } = await train(tf.train.sgd(0.1));
    weights.forEach((weight, which) => {
      expect(relativeError(weight, expected.weights[which] ?? [])).toBeLessThanOrEqual(TOLERANCE);
    });
    expect(kernels.nativeProducts).toBeGreaterThan(0);
  });

  const optimizers: Readonly<Record<string, () => tf.Optimizer>> = {
    momentum: () => tf.train.momentum(0.05, 0.9),
    adagrad: () => tf.train.adagrad(0.05),
    adadelta: () => tf.train.adadelta(1),
    adam: () => tf.train.adam(0.01),
    adamax: () => tf.train.adamax(0.01),
    rmsprop: () => tf.train.rmsprop(0.005),
    cgfac: () => cgfac({ seed: 1 }),
  };
  it.each(Object.entries(optimizers))(
    'model.fit with %s follows the losses that the stock kernels give',
    async (_, optimizer) => {
      await useBackend('wasm');
      const stock = await train(optimizer());
      const kernels = install();
      const { losses } = await train(optimizer());
      // a first-order step may divide a gradient by its own size: rounding shows in weights, hardly in the loss
      expect(relativeError(losses, stock.losses)).toBeLessThanOrEqual(1e-3);
      expect(kernels.nativeProducts).toBeGreaterThan(0);
    },
  );
});
