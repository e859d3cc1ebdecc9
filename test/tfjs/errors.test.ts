import * as tf from '@tensorflow/tfjs-core';
import { layers, sequential } from '@tensorflow/tfjs-layers';
import { CgfacError } from '../../lib/adapter-kit';
import { CgfacOptimizer, type CgfacOptions, cgfac } from '../../lib/tfjs';
import { errorOf, normal, quietWarnings, useBackend, variable } from './support/backends';

quietWarnings();

const labels = () => tf.cast(tf.oneHot(tf.tensor1d([0, 1, 2, 0, 1, 2], 'int32'), 3), 'float32');

const methods = ['cg', 'exact'] as const;

describe('options', () => {
  const wrong: readonly [string, Record<string, unknown>, string, RegExp][] = [
    ['an unknown name', { learningrate: 1 }, 'ERR_CGFAC_UNKNOWN_OPTION', /'learningrate'/],
    ['an unknown name in damping', { damping: { relative: 1, absolute: 1 } }, 'ERR_CGFAC_UNKNOWN_OPTION', /'absolute'/],
    [
      'a negative learning rate',
      { learningRate: -1 },
      'ERR_CGFAC_INVALID_ARG_VALUE',
      /for learningRate but received -1/,
    ],
    [
      'a learning rate that is a string',
      { learningRate: '1' },
      'ERR_CGFAC_INVALID_ARG_TYPE',
      /for learningRate but received '1'/,
    ],
    [
      'a learning rate of plain gradient steps',
      { gradientLearningRate: 0.01 },
      'ERR_CGFAC_UNKNOWN_OPTION',
      /^Expected no gradientLearningRate for cgfac but received one: .* learningRate is a factor of all that moves$/,
    ],
    ['a damping of 0', { damping: 0 }, 'ERR_CGFAC_INVALID_ARG_VALUE', /for damping but received 0/],
    ['a damping that is NaN', { damping: Number.NaN }, 'ERR_CGFAC_INVALID_ARG_VALUE', /for damping but received NaN/],
    ['a damping without a number', { damping: {} }, 'ERR_CGFAC_INVALID_ARG_TYPE', /for damping but received/],
    [
      'a relative damping of 0',
      { damping: { relative: 0 } },
      'ERR_CGFAC_INVALID_ARG_VALUE',
      /for damping.relative but received 0/,
    ],
    [
      'an infinite klClip',
      { klClip: Number.POSITIVE_INFINITY },
      'ERR_CGFAC_INVALID_ARG_VALUE',
      /for klClip but received Infinity/,
    ],
    ['no iterations', { maxIterations: 0 }, 'ERR_CGFAC_INVALID_ARG_VALUE', /for maxIterations but received 0/],
    ['a negative tolerance', { tolerance: -1e-3 }, 'ERR_CGFAC_INVALID_ARG_VALUE', /for tolerance but received -0.001/],
    [
      'an unknown warm start',
      { warmStart: 'last' },
      'ERR_CGFAC_INVALID_ARG_VALUE',
      /for warmStart but received 'last'/,
    ],
    ['a rank, which is of panels', { rank: 16 }, 'ERR_CGFAC_INVALID_ARG_VALUE', /rank/],
    ['an unknown space', { space: 'dual' }, 'ERR_CGFAC_INVALID_ARG_VALUE', /for space but received 'dual'/],
    [
      'a Fisher matrix that is a boolean',
      { fisher: true },
      'ERR_CGFAC_INVALID_ARG_TYPE',
      /for fisher but received true/,
    ],
    ['a seed with a fraction', { seed: 0.5 }, 'ERR_CGFAC_INVALID_ARG_VALUE', /for seed but received 0.5/],
    [
      'a seed beyond the integers of a double',
      { seed: 2 ** 53 },
      'ERR_CGFAC_INVALID_ARG_VALUE',
      /for seed but received 9007199254740992/,
    ],
  ];

  it.each(wrong)('%s is refused', async (_, options, code, message) => {
    const error = await errorOf(() => cgfac({ method: 'cg', ...options } as CgfacOptions));
    expect(error).toBeInstanceOf(CgfacError);
    expect(error.code).toBe(code);
    expect(error.message).toMatch(/^Expected .* but received /);
    expect(error.message).toMatch(message);
  });

  it('that are not an object are refused', async () => {
    expect((await errorOf(() => cgfac(3 as unknown as CgfacOptions))).code).toBe('ERR_CGFAC_INVALID_ARG_TYPE');
  });

  it.each([{ learningRate: 0.5 }, { learningRate: 0.5, method: 'cg' }])(
    'of a saved configuration may have names that a loader adds, or an earlier release',
    (config) => {
      const optimizer = CgfacOptimizer.fromConfig(CgfacOptimizer, {
        ...config,
        customObjects: {},
        gradientLearningRate: 0.01,
      });
      expect((optimizer as CgfacOptimizer).learningRate).toBe(0.5);
    },
  );

  it.each(methods)('learningRate of %s can be set, to a number > 0', async (method) => {
    const optimizer = cgfac({ method });
    optimizer.learningRate = 0.1;
    expect(optimizer.getConfig()).toMatchObject({ learningRate: 0.1 });
    const error = await errorOf(() => {
      optimizer.learningRate = Number.NaN;
    });
    expect(error.code).toBe('ERR_CGFAC_INVALID_ARG_VALUE');
    expect(optimizer.learningRate).toBe(0.1);
  });

  it('weights of another optimizer are refused, and nothing is taken over', async () => {
    await useBackend('cpu');
    const optimizer = cgfac({ seed: 5 });
    const weights = [{ name: 'iter', tensor: tf.scalar(3, 'int32') }];
    expect((await errorOf(() => optimizer.setWeights(weights))).code).toBe('ERR_CGFAC_INVALID_ARG_VALUE');
    expect(optimizer.iterations).toBe(0);
    expect(optimizer.getConfig()).toMatchObject({ seed: 5 });
  });
});

/** A step that has to fail: what is minimised, over which variables, with which options. */
interface Failing {
  readonly backend: 'cpu' | 'wasm';
  readonly code: string | undefined;
  readonly message: RegExp;
  readonly options?: CgfacOptions;
  readonly shapes: readonly number[][];
  readonly loss: (variables: readonly tf.Variable[]) => tf.Tensor;
}

const kernel = (variables: readonly tf.Variable[], index = 0): tf.Variable => variables[index] as tf.Variable;

const failing: Readonly<Record<string, Failing>> = {
  'a backend without the kernel of a gradient': {
    backend: 'wasm',
    code: 'ERR_CGFAC_TFJS_KERNEL',
    message: new RegExp(
      "^Expected a kernel 'Conv2DBackpropFilter' of the TensorFlow.js backend 'wasm' " +
        'for the training step but received none; call installKernels\\(tf\\) of cgfac/tfjs, which adds it$',
    ),
    shapes: [
      [2, 2, 1, 2],
      [18, 3],
    ],
    loss: (p) => {
      const image = tf.conv2d(
        normal([6, 4, 4, 1], 1) as tf.Tensor4D,
        kernel(p) as tf.Tensor as tf.Tensor4D,
        1,
        'valid',
      );
      return tf.losses.softmaxCrossEntropy(labels(), tf.matMul(tf.reshape(image, [6, 18]), kernel(p, 1)));
    },
  },
  'a kernel whose gradient has another shape than its input': {
    backend: 'cpu',
    code: 'ERR_CGFAC_SHAPE_MISMATCH',
    message: new RegExp(
      "^Expected a gradient of shape \\[6,1\\] for the input a of the TensorFlow.js kernel 'SquaredDifference' but " +
        'received \\[6,6\\]; a has \\[6,1\\], b has \\[6\\]: give its inputs one shape, ' +
        'for example outputs and targets$',
    ),
    shapes: [[4, 1]],
    loss: (p) => tf.mean(tf.squaredDifference(tf.matMul(normal([6, 4], 1), kernel(p)), normal([6], 2))),
  },
  'a backend without the kernel of the loss': {
    backend: 'wasm',
    code: 'ERR_CGFAC_TFJS_KERNEL',
    message: /^Expected a kernel 'Einsum' of the TensorFlow.js backend 'wasm' .* call installKernels\(tf\)/,
    shapes: [[4, 3]],
    loss: (p) => tf.mean(tf.einsum('bi,ij->bj', tf.tanh(tf.matMul(normal([6, 4], 1), kernel(p))), tf.ones([3, 2]))),
  },
  'a backend without a kernel that nobody here has': {
    backend: 'wasm',
    code: 'ERR_CGFAC_TFJS_KERNEL',
    message: /^Expected a kernel 'Complex' of the TensorFlow.js backend 'wasm' .* register one with tf.registerKernel/,
    shapes: [[4, 3]],
    loss: (p) => {
      const z = tf.matMul(normal([6, 4], 1), kernel(p));
      return tf.mean(tf.abs(tf.complex(z, z)));
    },
  },
  'an f that throws': {
    backend: 'cpu',
    code: undefined,
    message: /^mine$/,
    shapes: [[4, 3]],
    loss: (p) => {
      tf.tanh(tf.matMul(normal([6, 4], 1), kernel(p)));
      throw new Error('mine');
    },
  },
  'an f that returns a vector': {
    backend: 'cpu',
    code: 'ERR_CGFAC_INVALID_ARG_TYPE',
    message: /^Expected a scalar for the loss that f returns but received/,
    shapes: [[4, 3]],
    loss: (p) => tf.mean(tf.matMul(normal([6, 4], 1), kernel(p)), 1),
  },
};

describe.each(methods)('a step of %s that fails', (method) => {
  // what is not finite is a step that is left out: skips.test.ts
  it.each(Object.entries(failing))(
    '%s: changes nothing, keeps no tensor, and does not harm the next step',
    async (_, given) => {
      await useBackend(given.backend);
      const variables = given.shapes.map((shape, index) => variable(shape, 11 + index));
      const optimizer = cgfac({ seed: 1, ...given.options, method } as CgfacOptions);
      const before = variables.map((v) => Array.from(v.dataSync()));
      const tensors = tf.memory().numTensors;
      const error = await errorOf(() =>
        optimizer.minimize(() => given.loss(variables) as tf.Scalar, false, [...variables]),
      );
      expect(error.code).toBe(given.code);
      expect(error.message).toMatch(given.message);
      expect(variables.map((v) => Array.from(v.dataSync()))).toEqual(before);
      expect(tf.memory().numTensors).toBe(tensors);
      expect([optimizer.iterations, optimizer.lastStep]).toEqual([0, undefined]);

      const [w] = [variable([4, 3], 5)];
      const good = () => tf.losses.softmaxCrossEntropy(labels(), tf.matMul(normal([6, 4], 1), w)) as tf.Scalar;
      optimizer.minimize(good, false, [w]);
      expect(optimizer.lastStep?.summary?.layers.length).toBe(1);
      tf.dispose([w, ...variables]);
      optimizer.dispose();
      expect(tf.memory().numTensors).toBe(tensors - variables.length);
    },
  );

  it('under model.fit leaves the weights as they were', async () => {
    await useBackend('wasm');
    const net = sequential({ layers: [layers.dense({ units: 3, inputShape: [4] })] });
    const loss = (y: tf.Tensor, z: tf.Tensor) => tf.einsum('bi,ij->', tf.sub(y, z), tf.ones([3, 2]));
    net.compile({ optimizer: cgfac({ method }), loss });
    const before = net.getWeights().map((weight) => Array.from(weight.dataSync()));
    const [x, y] = [normal([6, 4], 1), normal([6, 3], 2)];
    const tensors = tf.memory().numTensors;
    expect((await errorOf(() => net.fit(x, y, { epochs: 1, verbose: 0 }))).code).toBe('ERR_CGFAC_TFJS_KERNEL');
    expect(net.getWeights().map((weight) => Array.from(weight.dataSync()))).toEqual(before);
    expect(tf.memory().numTensors - tensors).toBeLessThanOrEqual(2);
    net.dispose();
  });
});

describe.each(methods)('applyGradients of %s', (method) => {
  beforeAll(() => useBackend('cpu'));

  const setup = () => {
    const w = variable([4, 3], 5);
    const loss = () => tf.losses.softmaxCrossEntropy(labels(), tf.matMul(normal([6, 4], 1), w)) as tf.Scalar;
    return { w, loss, optimizer: cgfac({ seed: 1, method }) };
  };

  it('without computeGradients before is refused', async () => {
    const { w, optimizer } = setup();
    const error = await errorOf(() => optimizer.applyGradients({ [w.name]: tf.zeros([4, 3]) }));
    expect(error.code).toBe('ERR_CGFAC_TFJS_NO_CAPTURE');
    expect(error.message).toMatch(
      /^Expected gradients of computeGradients for applyGradients but received others before any of these; call .*f\)$/,
    );
    expect(error.message).toContain('optimizer.computeGradients(f) in the place of tf.variableGrads(f)');
    expect([optimizer.iterations, optimizer.lastStep]).toEqual([0, undefined]);
  });

  it('with gradients of other variables, or without those of a layer, is refused', async () => {
    for (const wrong of [(grads: tf.NamedTensorMap) => ({ ...grads, stranger: tf.scalar(1) }), () => ({})]) {
      const { w, loss, optimizer } = setup();
      const before = Array.from(w.dataSync());
      const { grads } = optimizer.computeGradients(loss, [w]);
      expect((await errorOf(() => optimizer.applyGradients(wrong(grads)))).code).toBe('ERR_CGFAC_TFJS_NO_CAPTURE');
      expect(Array.from(w.dataSync())).toEqual(before);
    }
  });

  it('takes a list of named tensors, and gradients that were changed on the way', () => {
    const { w, loss, optimizer } = setup();
    const before = Array.from(w.dataSync());
    const { grads } = optimizer.computeGradients(loss, [w]);
    optimizer.applyGradients([{ name: w.name, tensor: tf.mul(0, grads[w.name] as tf.Tensor) }]);
    expect(Array.from(w.dataSync())).toEqual(before);
    expect(optimizer.lastStep?.innerProduct).toBe(0);
  });
});

describe('a batch without samples', () => {
  type Logits = (z: tf.Tensor, y: tf.Tensor) => tf.Tensor;
  const losses: readonly [string, Logits][] = [
    ['a squared error', (z, y) => tf.sum(tf.squaredDifference(z, y))],
    ['a cross-entropy', (z, y) => tf.neg(tf.sum(tf.mul(y, tf.logSoftmax(z))))],
    ['an absolute error', (z, y) => tf.sum(tf.abs(tf.sub(z, y)))],
  ];

  it.each(losses)('%s: an error that says so, and the next step is taken', async (_, lossOf) => {
    await useBackend('cpu');
    const w = variable([8, 3], 1);
    const optimizer = cgfac({ seed: 1 });
    const step = (samples: number) => {
      const [x, y] = [normal([samples, 8], 2), tf.fill([samples, 3], 1 / 3)];
      optimizer.minimize(() => lossOf(tf.matMul(x, w), y) as tf.Scalar, false, [w]);
    };
    step(16);
    const before = Array.from(w.dataSync());
    const error = await errorOf(() => step(0));
    expect([error.code, error.message]).toEqual([
      'ERR_CGFAC_SHAPE_MISMATCH',
      'Expected a sample or more in a batch but received none; leave out batches without any',
    ]);
    expect(Array.from(w.dataSync())).toEqual(before);
    step(16);
    expect(optimizer.lastStep?.summary?.stepSize).toBeGreaterThan(0);
  });
});
