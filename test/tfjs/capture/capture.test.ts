import * as tf from '@tensorflow/tfjs-core';
import { concatenated } from '../../../lib/adapter-kit';
import { type CapturedLayer, capture } from '../../../lib/tfjs/capture/capture';
import { KINDS } from '../../../lib/tfjs/kinds/kinds';
import { variableGradients } from '../../../lib/tfjs/tape/tape';
import { normal, relativeError, useBackend, variable } from '../support/backends';
import { type CapturedStep, capturedStep, captureOptions } from '../support/capture';
import { denseNetworks, SAMPLES } from '../support/networks';

/** Captures one step with the empirical Fisher matrix: the rows are those of the framework's own backward pass. */
function captured(loss: () => tf.Scalar, variables: readonly tf.Variable[]): CapturedStep {
  return capturedStep(loss, variables, captureOptions('empirical', true));
}

/**
 * (output gradients)ᵀ (inputs) of the rows, in the layout of the kernel, and the sum of the output gradients; in double
 * precision.
 */
function gradientsOfRows(layer: CapturedLayer): { kernel: Float64Array; bias: Float64Array } {
  const [{ inFeatures, outFeatures, kernelLayout }] = layer.sites;
  const outputGrads = concatenated(layer.lossGrads.flatMap((gradients) => gradients ?? []));
  const kernel = new Float64Array(inFeatures * outFeatures);
  const bias = new Float64Array(outFeatures);
  for (let row = 0; row < layer.inputs.length / inFeatures; row++) {
    for (let j = 0; j < outFeatures; j++) {
      const g = outputGrads[row * outFeatures + j] ?? Number.NaN;
      bias[j] = (bias[j] ?? 0) + g;
      for (let i = 0; i < inFeatures; i++) {
        const at = kernelLayout === 'in-out' ? i * outFeatures + j : j * inFeatures + i;
        kernel[at] = (kernel[at] ?? 0) + g * (layer.inputs[row * inFeatures + i] ?? Number.NaN);
      }
    }
  }
  return { kernel, bias };
}

// Both sides are sums of at most 30 products of float32 numbers of order 1: about √30 · 2⁻²⁴ of the terms, 3e-7.
const FLOAT32_SUM = 2e-6;

describe.each(['cpu', 'wasm'] as const)('capture on %s', (backend) => {
  beforeAll(() => useBackend(backend));

  it.each(Object.entries(denseNetworks))('%s: the rows give the gradients of the framework', (_, make) => {
    const network = make();
    const { taken, grads } = captured(network.loss, network.variables);
    expect(taken.plain).toEqual([]);
    expect(new Set(taken.layers.flatMap(({ kernel, bias }) => [kernel, bias].filter(Boolean)))).toEqual(
      new Set(network.variables),
    );
    for (const layer of taken.layers) {
      const rows = gradientsOfRows(layer);
      expect(relativeError(rows.kernel, grads[layer.kernel.name]?.dataSync() ?? [])).toBeLessThan(FLOAT32_SUM);
      if (layer.bias)
        expect(relativeError(rows.bias, grads[layer.bias.name]?.dataSync() ?? [])).toBeLessThan(FLOAT32_SUM);
    }
    tf.dispose(grads);
    network.dispose();
  });
});

describe('the tape', () => {
  beforeAll(() => useBackend('cpu'));

  it('is left as it was found', () => {
    const { state } = tf.engine();
    const network = denseNetworks['two layers']?.();
    if (!network) throw new Error('the network is missing');
    const lengths: (number | undefined)[] = [];
    const { value, grads } = variableGradients(network.loss, [...network.variables], KINDS, (tape, result) => {
      lengths.push(state.activeTape?.length);
      capture(tape, result, network.variables, captureOptions('true', true));
      lengths.push(state.activeTape?.length);
    });
    expect(lengths[0]).toBeGreaterThan(10);
    expect(lengths[1]).toBe(lengths[0]);
    tf.dispose([value, grads]);
    network.dispose();
  });
});

describe('the samples of a layer', () => {
  beforeAll(() => useBackend('cpu'));

  it.each(Object.entries(denseNetworks))('%s: as many as the batch has', (name, make) => {
    const network = make();
    const { taken, grads } = captured(network.loss, network.variables);
    for (const layer of taken.layers) {
      expect(layer.samples).toBe(SAMPLES);
      expect(layer.inputs.length / layer.sites[0].inFeatures).toBe(
        SAMPLES * (name === 'data of rank 3' ? 5 : 1) * layer.sites.length,
      );
    }
    tf.dispose(grads);
    network.dispose();
  });
});

describe('variables that are not preconditioned', () => {
  beforeAll(() => useBackend('cpu'));

  const x = () => normal([SAMPLES, 4], 3);
  const cases: Readonly<
    Record<
      string,
      { shapes: number[][]; loss: (p: tf.Variable[]) => tf.Tensor; plain: Record<number, string>; layers: number }
    >
  > = {
    'a scale': {
      shapes: [[4, 3], [3]],
      loss: ([w, s]) => tf.mul(tf.matMul(x(), w as tf.Tensor), s as tf.Tensor),
      plain: { 1: 'Multiply' },
      layers: 1,
    },
    'an embedding': {
      shapes: [
        [5, 4],
        [4, 3],
      ],
      loss: ([e, w]) => tf.matMul(tf.gather(e as tf.Tensor, tf.tensor1d([0, 1, 2, 0, 4, 1], 'int32')), w as tf.Tensor),
      plain: { 0: 'GatherV2' },
      layers: 1,
    },
    'a kernel used in both directions': {
      shapes: [[4, 3]],
      loss: ([w]) => tf.matMul(tf.tanh(tf.matMul(x(), w as tf.Tensor)), w as tf.Tensor, false, true),
      plain: { 0: 'used in two forms' },
      layers: 0,
    },
    'a kernel that is also multiplied elementwise': {
      shapes: [[4, 3]],
      loss: ([w]) => tf.add(tf.matMul(x(), w as tf.Tensor), tf.sum(tf.mul(normal([4, 3], 8), w as tf.Tensor))),
      plain: { 0: 'Multiply' },
      layers: 0,
    },
    'a product of two kernels': {
      shapes: [
        [4, 2],
        [2, 3],
      ],
      loss: ([u, w]) => tf.matMul(x(), tf.matMul(u as tf.Tensor, w as tf.Tensor)),
      plain: { 0: 'BatchMatMul', 1: 'BatchMatMul' },
      layers: 0,
    },
    'a bias of two kernels': {
      shapes: [[4, 3], [4, 3], [3]],
      loss: ([u, w, b]) =>
        tf.mul(
          tf.add(tf.matMul(x(), u as tf.Tensor), b as tf.Tensor),
          tf.add(tf.matMul(x(), w as tf.Tensor), b as tf.Tensor),
        ),
      plain: { 2: 'a bias of no one kernel' },
      layers: 2,
    },
    'a bias added where the product is used without it too': {
      shapes: [[4, 3], [3]],
      loss: ([w, b]) => {
        const z = tf.matMul(x(), w as tf.Tensor);
        return tf.mul(z, tf.add(z, b as tf.Tensor));
      },
      plain: { 1: 'Add' },
      layers: 1,
    },
    'a variable that is only penalised': {
      shapes: [[4, 3], [7]],
      loss: ([w, s]) => tf.add(tf.matMul(x(), w as tf.Tensor), tf.sum(tf.square(s as tf.Tensor))),
      plain: { 1: 'only in a penalty' },
      layers: 1,
    },
  };

  it.each(Object.entries(cases))('%s', (_, { shapes, loss, plain, layers }) => {
    const variables = shapes.map((shape, index) => variable(shape, 31 + index));
    const { taken, grads } = captured(() => tf.mean(tf.square(loss(variables))) as tf.Scalar, variables);
    expect(
      Object.fromEntries(taken.plain.map(({ variable, reason }) => [variables.indexOf(variable), reason])),
    ).toEqual(plain);
    expect(taken.layers).toHaveLength(layers);
    tf.dispose([grads, variables]);
  });

  it('regularisation leaves a kernel a kernel, and is told apart from the gradient of its rows', () => {
    const [w, b] = [variable([4, 3], 41), variable([3], 42)];
    const penalty = () =>
      tf.add(tf.sum(tf.mul(0.1, tf.abs(w))), tf.add(tf.sum(tf.mul(0.2, tf.mul(w, w))), tf.sum(tf.square(b))));
    const loss = () => tf.add(tf.mean(tf.square(tf.add(tf.matMul(x(), w), b))), penalty()) as tf.Scalar;
    const { taken, grads } = captured(loss, [w, b]);
    const [layer] = taken.layers;
    if (!layer) throw new Error('the layer was not found');
    expect(layer.bias).toBe(b);
    const rows = gradientsOfRows(layer);
    for (const [variable, ofRows] of [
      [w, rows.kernel],
      [b, rows.bias],
    ] as const) {
      const penalised = layer.penaltyGrads.get(variable) ?? [];
      expect(
        relativeError(
          ofRows.map((value, at) => value + (penalised[at] ?? 0)),
          grads[variable.name]?.dataSync() ?? [],
        ),
      ).toBeLessThan(FLOAT32_SUM);
    }
    tf.dispose([grads, w, b]);
  });
});
