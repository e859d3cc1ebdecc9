import * as tf from '@tensorflow/tfjs-core';
import { variablesOf } from '../../../lib/tfjs/kinds/layer-kind';
import { relativeError, useBackend } from '../support/backends';
import { capturedRows, FLOAT32_SUM, gradientsOfRows } from '../support/capture';
import { denseNetworks, SAMPLES, sequences } from '../support/networks';

describe.each(['cpu', 'wasm'] as const)('capture on %s', (backend) => {
  beforeAll(() => useBackend(backend));

  it.each(Object.entries(denseNetworks))('%s: the rows give the gradients of the framework', (_, make) => {
    const network = make();
    const { taken, grads } = capturedRows(network.loss, network.variables);
    expect(taken.lone).toEqual([]);
    expect(new Set(taken.layers.flatMap(variablesOf))).toEqual(new Set(network.variables));
    for (const layer of taken.layers) {
      const rows = gradientsOfRows(layer);
      expect(relativeError(rows.kernel, grads[layer.kernel.variable.name]?.dataSync() ?? [])).toBeLessThan(FLOAT32_SUM);
      if (layer.bias)
        expect(relativeError(rows.bias, grads[layer.bias.variable.name]?.dataSync() ?? [])).toBeLessThan(FLOAT32_SUM);
    }
    tf.dispose(grads);
    network.dispose();
  });
});

describe('the samples of a layer', () => {
  beforeAll(() => useBackend('cpu'));

  it.each(Object.entries(denseNetworks))('%s: as many as the batch has', (name, make) => {
    const network = make();
    const { taken, grads } = capturedRows(network.loss, network.variables);
    for (const layer of taken.layers) {
      expect(layer.samples).toBe(SAMPLES);
      expect(layer.inputs.length / layer.sites[0].inFeatures).toBe(
        SAMPLES * (sequences.has(name) ? 5 : 1) * layer.sites.length,
      );
    }
    tf.dispose(grads);
    network.dispose();
  });
});
