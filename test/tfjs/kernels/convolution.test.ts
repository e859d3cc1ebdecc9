import * as tf from '@tensorflow/tfjs-core';
import { errorOf, relativeError, useBackend } from '../support/backends';
import { asSums, type Call, type Kernel, type Padding, type Reference, run } from '../support/convolution-calls';
import { install, normal, numbers, TOLERANCE, uninstalledAfterEach } from '../support/kernels';
import { NO_THRESHOLDS } from '../support/thresholds';

uninstalledAfterEach();

function onCpuBackend(call: Call): ReturnType<Reference> {
  const result = run(call);
  return { shape: result.shape, values: numbers(result) };
}

/** Each call by a reference, the cpu backend's unless told otherwise, then on wasm with the kernels installed. */
async function compare(calls: readonly Call[], reference: Reference = onCpuBackend): Promise<void> {
  await useBackend('cpu');
  const expected = calls.map(reference);
  await useBackend('wasm');
  const kernels = install(NO_THRESHOLDS);
  calls.forEach((call, which) => {
    const tensors = tf.memory().numTensors;
    const result = run(call);
    const { shape = [], values = [] } = expected[which] ?? {};
    const error = relativeError(result.dataSync(), values);
    // written so that NaN fails, and the call shows
    expect({ ...call, shape: result.shape, close: error <= TOLERANCE }).toEqual({ ...call, shape, close: true });
    result.dispose();
    expect(tf.memory().numTensors).toBe(tensors);
  });
  for (const [name, { native, stock }] of Object.entries(kernels.calls)) {
    // what a gradient cuts dy with, or brings its channels to the end with
    if (name === 'Slice' || name === 'Transpose') continue;
    expect({ name, native, stock }).toEqual({
      name,
      native: calls.filter(({ kernel }) => kernel === name).length,
      stock: 0,
    });
  }
}

const paddings: readonly Padding[] = [
  'valid',
  'same',
  2,
  [
    [0, 0],
    [0, 1],
    [2, 0],
    [0, 0],
  ],
]; // prettier-ignore
const strides: readonly [number, number][] = [
  [1, 1],
  [2, 2],
  [2, 1],
  [3, 4],
];
const kernelSizes: readonly [number, number][] = [
  [1, 1],
  [3, 3],
  [2, 5],
];
const [batch, height, width] = [3, 11, 10] as const;

/** What both gradients of a convolution are called with; its results have the shape that TensorFlow.js says. */
function gradients2d(
  depthwise: boolean,
  filterShape: [number, number, number, number],
  attributes: { strides: [number, number]; pad: Padding; dimRoundingMode?: 'floor' | 'round' | 'ceil' },
): readonly Call[] {
  const inputShape: [number, number, number, number] = [batch, height, width, filterShape[2]];
  const { strides: steps, pad, dimRoundingMode } = attributes;
  const { outShape } = tf.backend_util.computeConv2DInfo(
    inputShape,
    filterShape,
    steps,
    1,
    pad as 'valid',
    dimRoundingMode,
    depthwise,
  );
  const name = depthwise ? 'DepthwiseConv2dNativeBackprop' : 'Conv2DBackprop';
  const all = { ...attributes, ...(depthwise ? { dilations: [1, 1] } : { dataFormat: 'NHWC' }) };
  return [
    { kernel: `${name}Filter`, inputs: { x: inputShape, dy: outShape }, attributes: { ...all, filterShape } },
    { kernel: `${name}Input`, inputs: { dy: outShape, filter: filterShape }, attributes: { ...all, inputShape } },
  ] as readonly Call[];
}

const attributes2d = strides.flatMap((steps) => paddings.map((pad) => ({ strides: steps, pad })));

describe('gradients of convolutions equal those of the cpu backend, or float64 sums', () => {
  it.each(kernelSizes)('in two dimensions, %i × %i taps, every stride and padding', (kh, kw) =>
    compare(
      attributes2d.flatMap((attributes) => gradients2d(false, [kh, kw, 6, 17], attributes)),
      asSums,
    ),
  );

  it.each(kernelSizes)('depthwise, %i × %i taps, every stride and padding', (kh, kw) =>
    compare(
      attributes2d.flatMap((attributes) =>
        [1, 3].flatMap((multiplier) => gradients2d(true, [kh, kw, 5, multiplier], attributes)),
      ),
    ),
  );

  it.each(['floor', 'round', 'ceil'] as const)('with a padded size that is rounded by %s', (dimRoundingMode) =>
    compare(
      [false, true].flatMap((depthwise) =>
        gradients2d(depthwise, [3, 3, 6, depthwise ? 2 : 17], { strides: [3, 2], pad: 1, dimRoundingMode }),
      ),
    ),
  );

  it('with more rows of dy than the attributes say, which are left out', () =>
    compare([
      {
        kernel: 'Conv2DBackpropInput',
        inputs: { dy: [2, 8, 8, 7], filter: [3, 3, 6, 7] },
        attributes: { strides: 1, pad: 'same', dataFormat: 'NHWC', inputShape: [2, 6, 7, 6] },
      },
      {
        kernel: 'Conv2DBackpropFilter',
        inputs: { dy: [2, 8, 8, 7], x: [2, 6, 7, 6] },
        attributes: { strides: 1, pad: 'same', dataFormat: 'NHWC', filterShape: [3, 3, 6, 7] },
      },
    ]));

  it('of a kernel, with channels first', () =>
    compare([
      {
        kernel: 'Conv2DBackpropFilter',
        inputs: { dy: [2, 17, 5, 5], x: [2, 6, 11, 10] },
        attributes: { strides: 2, pad: 'valid', dataFormat: 'NCHW', filterShape: [3, 2, 6, 17] },
      },
    ]));

  it('in three dimensions, every stride and padding', () =>
    compare(
      [1, 2, [2, 1, 3]].flatMap((steps) =>
        (['valid', 'same'] as const).flatMap((pad): Call[] => {
          const [inputShape, filterShape] = [
            [2, 6, 7, 8, 5],
            [2, 3, 2, 5, 9],
          ] as [[number, number, number, number, number], [number, number, number, number, number]];
          const { outShape } = tf.backend_util.computeConv3DInfo(inputShape, filterShape, steps as number, 1, pad);
          const attributes = { strides: steps, pad };
          return [
            {
              kernel: 'Conv3DBackpropFilterV2',
              inputs: { x: inputShape, dy: outShape },
              attributes: { ...attributes, filterShape },
            },
            {
              kernel: 'Conv3DBackpropInputV2',
              inputs: { dy: outShape, filter: filterShape },
              attributes: { ...attributes, inputShape },
            },
          ];
        }),
      ),
    ));

  it('where work is cut over threads', () =>
    compare(
      [
        {
          kernel: 'Conv2DBackpropFilter',
          inputs: { x: [2, 16, 16, 16], dy: [2, 16, 16, 32] },
          attributes: { strides: 1, pad: 'same', dataFormat: 'NHWC', filterShape: [3, 3, 16, 32] },
        },
        {
          kernel: 'Conv2DBackpropInput',
          inputs: { dy: [1, 24, 24, 32], filter: [3, 3, 16, 32] },
          attributes: { strides: 1, pad: 'same', dataFormat: 'NHWC', inputShape: [1, 24, 24, 16] },
        },
      ],
      asSums,
    ));
});

describe('the gradients of a dilated depthwise convolution', () => {
  // the cpu backend leaves dilations out of them: a sum of the taps one by one, each a slice of the padded input
  const [dilations, strides2d, shape] = [
    [2, 3],
    [1, 1],
    [2, 11, 10, 5],
  ] as const;
  const filterShape = [3, 2, 5, 2] as const;
  const outShape = [2, 7, 7, 10];
  const taps = [0, 1, 2].flatMap((ky) => [0, 1].map((kx) => [ky, kx] as const));

  it('are those of the sum of its taps', async () => {
    await useBackend('wasm');
    install();
    const [x, dy, filter] = [normal([...shape], 1), normal(outShape, 2), normal([...filterShape], 3)];
    const attributes = { strides: strides2d, pad: 'valid', dilations };
    const of = (kernel: Kernel, inputs: Record<string, tf.Tensor>, more: object) =>
      numbers(
        tf.engine().runKernel(kernel, inputs, { ...attributes, ...more } as unknown as tf.NamedAttrMap) as tf.Tensor,
      );
    const dw = of('DepthwiseConv2dNativeBackpropFilter', { x, dy }, { filterShape });
    const dx = of('DepthwiseConv2dNativeBackpropInput', { dy, filter }, { inputShape: shape });

    const errors = tf.reshape(dy, [2, 7, 7, 5, 2]);
    const ofTap = taps.map(([ky, kx]) =>
      tf.tidy(() => {
        const seen = tf.reshape(tf.slice(x, [0, 2 * ky, 3 * kx, 0], [2, 7, 7, 5]), [2, 7, 7, 5, 1]);
        return tf.sum(tf.mul(seen, errors), [0, 1, 2]);
      }),
    );
    expect(relativeError(dw, numbers(tf.stack(ofTap)))).toBeLessThanOrEqual(TOLERANCE);
    const back = taps.map(([ky, kx], tap) =>
      tf.tidy(() => {
        const weights = tf.reshape(tf.slice(tf.reshape(filter, [6, 5, 2]), tap, 1), [5, 2]);
        const sums = tf.sum(tf.mul(errors, weights), -1) as tf.Tensor4D;
        return tf.pad(sums, [
          [0, 0],
          [2 * ky, 4 - 2 * ky],
          [3 * kx, 3 - 3 * kx],
          [0, 0],
        ]); // prettier-ignore
      }),
    );
    expect(relativeError(dx, numbers(tf.addN(back)))).toBeLessThanOrEqual(TOLERANCE);
    tf.dispose([x, dy, filter, errors, ...ofTap, ...back]);
  });
});

describe('what goes where', () => {
  beforeEach(() => useBackend('wasm'));
  const inputGradient = (side: number, dataFormat: 'NHWC' | 'NCHW') => {
    const image = (channels: number) => (dataFormat === 'NHWC' ? [1, side, side, channels] : [1, channels, side, side]);
    return run({
      kernel: 'Conv2DBackpropInput',
      inputs: { dy: image(4), filter: [3, 3, 4, 4] },
      attributes: { strides: 1, pad: 'same', dataFormat, inputShape: image(4) },
    });
  };

  it('small gradients of inputs, and those with channels first, to the stock kernel', () => {
    const kernels = install();
    const counts = () => kernels.calls.Conv2DBackpropInput;
    inputGradient(4, 'NHWC').dispose();
    expect(counts()).toEqual({ native: 0, stock: 1 });
    inputGradient(20, 'NCHW').dispose();
    expect(counts()).toEqual({ native: 0, stock: 2 });
    inputGradient(20, 'NHWC').dispose();
    expect(counts()).toEqual({ native: 1, stock: 2 });
  });

  it('integers are taken as numbers, and nothing is kept of them', () => {
    install();
    const attributes = { strides: 1, pad: 'valid', dataFormat: 'NHWC', filterShape: [2, 2, 1, 1] };
    const x = tf.tensor4d([1, 2, 3, 4, 5, 6], [1, 2, 3, 1], 'int32');
    const dy = tf.tensor4d([10, 1], [1, 1, 2, 1]);
    const before = tf.backend().numDataIds();
    const dw = tf.engine().runKernel('Conv2DBackpropFilter', { x, dy }, attributes) as tf.Tensor;
    expect([...numbers(dw)]).toEqual([12, 23, 45, 56]);
    expect(tf.backend().numDataIds()).toBe(before);
    tf.dispose([x, dy]);
  });

  it('a batch without samples has the gradient 0', () => {
    install();
    const { kernel, attributes } = gradients2d(false, [3, 3, 2, 2], { strides: [1, 1], pad: 'valid' })[0] as Call;
    const dw = run({ kernel, attributes, inputs: { x: [0, 5, 5, 2], dy: [0, 3, 3, 2] } });
    expect(dw.shape).toEqual([3, 3, 2, 2]);
    expect(numbers(dw).every((g) => g === 0)).toBe(true);
  });

  it('a dy of another shape is refused', async () => {
    install();
    const { kernel, attributes } = gradients2d(false, [3, 3, 2, 2], { strides: [1, 1], pad: 'valid' })[0] as Call;
    const before = tf.backend().numDataIds();
    for (const dy of [
      [1, 2, 3, 2],
      [1, 3, 3, 4],
      [2, 3, 3, 2],
    ]) {
      const error = await errorOf(() => run({ kernel, attributes, inputs: { x: [1, 5, 5, 2], dy } }));
      expect(error).toMatchObject({ code: 'ERR_CGFAC_SHAPE_MISMATCH' });
      expect(error.message).toMatch(/^Expected a shape \[1,3,3,2\] for dy but received \[/);
    }
    expect(tf.backend().numDataIds()).toBe(before);
  });
});
