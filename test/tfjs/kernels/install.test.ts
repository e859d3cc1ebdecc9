import * as tf from '@tensorflow/tfjs-core';
import { CgfacError } from '../../../lib/adapter-kit';
import { installKernels, type TfjsKernelRegistry } from '../../../lib/tfjs';
import { errorOf, useBackend } from '../support/backends';
import { install, numbers, uninstalledAfterEach } from '../support/kernels';

const warnings = uninstalledAfterEach();

describe('installing', () => {
  const lacking = [
    'Conv2DBackpropFilter',
    'DepthwiseConv2dNativeBackpropFilter',
    'DepthwiseConv2dNativeBackpropInput',
    'UnsortedSegmentSum',
    'Einsum',
  ];
  const stocked = [
    'BatchMatMul',
    '_FusedMatMul',
    'Conv2DBackpropInput',
    'Conv3DBackpropFilterV2',
    'Conv3DBackpropInputV2',
    'Conv2D',
    'FusedConv2D',
    'MaxPoolGrad',
    'AvgPoolGrad',
    'Exp',
    'Expm1',
    'Log',
    'Log1p',
    'Tanh',
    'Softplus',
    'Erf',
    'Sigmoid',
    'Elu',
    'Sqrt',
    'Rsqrt',
    'Add',
    'Sub',
    'Multiply',
    'RealDiv',
    'SquaredDifference',
    'Maximum',
    'Minimum',
    'Equal',
    'NotEqual',
    'Less',
    'LessEqual',
    'Greater',
    'GreaterEqual',
    'LogicalAnd',
    'LogicalOr',
    'Square',
    'Reciprocal',
    'LeakyRelu',
    'LogicalNot',
    'Select',
    'Cast',
    'Identity',
    'FusedBatchNorm',
    'Sum',
    'Mean',
    'Max',
    'Tile',
    'Transpose',
    'Slice',
    'SplitV',
    'Unpack',
    'Concat',
    'Pack',
    'PadV2',
    'GatherV2',
  ];
  const registered = () => [...stocked, ...lacking].map((name) => tf.getKernel(name, 'wasm'));
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
      expect(config === undefined).toBe(which >= stocked.length);
    });
    large().dispose();
    expect([kernels.nativeProducts, kernels.stockProducts]).toEqual([1, 0]);
    expect(kernels.calls).toEqual(
      Object.fromEntries(
        [...stocked, ...lacking].map((name) => [name, { native: name === 'BatchMatMul' ? 1 : 0, stock: 0 }]),
      ),
    );
    expect(warnings.calls).toEqual([]);
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
    const again = install();
    expect(again).not.toBe(kernels);
    expect(kernels.installed).toBe(false);
    large().dispose();
    expect(again.nativeProducts).toBe(1);
    again.uninstall();
    expect(tf.getKernel('BatchMatMul', 'wasm')).toBe(other);
    tf.unregisterKernel('BatchMatMul', 'wasm');
    tf.registerKernel(stock as tf.KernelConfig);
  });

  it('puts a kernel back that somebody else had added', () => {
    const other: tf.KernelConfig = { kernelName: 'UnsortedSegmentSum', backendName: 'wasm', kernelFunc: jest.fn() };
    tf.registerKernel(other);
    const kernels = install();
    tf.tidy(() => tf.unsortedSegmentSum(tf.ones([2]), tf.tensor1d([0, 0], 'int32'), 1)).dispose();
    expect(other.kernelFunc).not.toHaveBeenCalled();
    kernels.uninstall();
    expect(tf.getKernel('UnsortedSegmentSum', 'wasm')).toBe(other);
    tf.unregisterKernel('UnsortedSegmentSum', 'wasm');
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
      { ...tf, backend: () => ({ makeOutput() {}, disposeData() {}, incRef() {}, dataIdMap: new Map() }) },
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
