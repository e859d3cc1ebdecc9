import * as tf from '@tensorflow/tfjs-core';
import { cgfac } from '../../../lib/tfjs';
import { capture } from '../../../lib/tfjs/capture/capture';
import { KINDS } from '../../../lib/tfjs/kinds/kinds';
import { variableGradients } from '../../../lib/tfjs/tape/tape';
import { errorOf, useBackend } from '../support/backends';
import { captureOptions } from '../support/capture';
import { denseNetworks } from '../support/networks';

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

describe('a TensorFlow.js of another form', () => {
  beforeAll(() => useBackend('cpu'));

  const broken: readonly [string, object, string][] = [
    ['no method that runs kernels', tf.engine(), 'runKernelFunc'],
    ['no counter of gradients', tf.engine().state, 'gradientDepth'],
    ['no counter of kernels', tf.engine().state, 'kernelDepth'],
  ];

  it.each(broken)('%s: is refused before f is called', async (_, owner, name) => {
    const f = jest.fn(() => tf.scalar(0));
    const own = Object.getOwnPropertyDescriptor(owner, name);
    Object.defineProperty(owner, name, { value: undefined, configurable: true, writable: true });
    try {
      const error = await errorOf(() => cgfac().minimize(f));
      expect(error.code).toBe('ERR_CGFAC_TFJS_VERSION');
      expect(error.message).toContain(tf.version_core);
      expect(f).not.toHaveBeenCalled();
    } finally {
      if (own) Object.defineProperty(owner, name, own);
      else Reflect.deleteProperty(owner, name);
    }
  });
});
