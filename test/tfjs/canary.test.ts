/** What holds for every layer with weights, on every backend: a table of models, and what is expected of each. */
import * as tf from '@tensorflow/tfjs-core';
import { CgfacOptimizer, cgfac } from '../../lib/tfjs';
import { partsOf } from '../../lib/tfjs/kinds/layer-kind';
import { readPart } from '../../lib/tfjs/kinds/part';
import { quietWarnings, relativeError, useBackend } from './support/backends';
import { type Canary, canaryRows } from './support/canary-rows';
import { capturedRows, gradientsOfRows } from './support/capture';

/** Float32 sums of at most a hundred products, in another order than the framework's. */
const TOLERANCE = 1e-5;

quietWarnings();

const bits = (variables: readonly tf.Variable[]) => variables.map((each) => Array.from(each.dataSync()));

/** Steps of an optimizer; the calls of the loss. */
function take(optimizer: CgfacOptimizer, { loss, variables, between }: Canary, steps: number): number {
  let calls = 0;
  const counted = () => {
    calls++;
    return loss();
  };
  for (let step = 0; step < steps; step++) {
    optimizer.minimize(counted, false, [...variables]);
    between();
  }
  return calls;
}

describe.each(['cpu', 'wasm'] as const)('on %s', (backend) => {
  beforeAll(() => useBackend(backend));
  afterEach(() => tf.disposeVariables());

  describe.each(Object.entries(canaryRows))('%s', (_, make) => {
    it('has rows that give the gradients of the framework', () => {
      const net = make();
      const { taken, grads } = capturedRows(net.loss, net.variables);
      net.between();
      expect(taken.lone).toEqual([]);
      let numbers = 0;
      for (const layer of taken.layers) {
        const rows = gradientsOfRows(layer);
        for (const [index, part] of partsOf(layer).entries()) {
          const read = (all: Float32Array | undefined) => readPart(part, all ?? new Float32Array(part.variable.size));
          const penalties = read(layer.penaltyGrads.get(part.variable));
          const found = (index === 0 ? rows.kernel : rows.bias).map((value, at) => value + (penalties[at] ?? 0));
          const expected = read(grads[part.variable.name]?.dataSync<'float32'>());
          // a recurrent kernel of one step sees the state before it alone, which is 0
          if (expected.every((value) => value === 0)) expect(found.every((value) => value === 0)).toBe(true);
          else expect(relativeError(found, expected)).toBeLessThan(TOLERANCE);
          numbers += found.length;
        }
      }
      // every number of every variable once
      expect(numbers).toBe(net.variables.reduce((sum, { size }) => sum + size, 0));
      tf.dispose(grads);
      net.dispose();
    });

    it('has a Kronecker block for each variable, one call of the loss in a step, and leaves no tensor behind', () => {
      const net = make();
      const optimizer = cgfac({ seed: 2 });
      expect(take(optimizer, net, 2)).toBe(2);
      const before = tf.memory().numTensors;
      expect(take(optimizer, net, 20)).toBe(20);
      expect(tf.memory().numTensors).toBe(before);
      expect(optimizer.lastStep?.summary?.skipped).toBeUndefined();
      const { layers = [] } = optimizer.report() ?? {};
      expect(layers.filter(({ shape, reason }) => reason !== undefined || shape.includes('diagonal'))).toEqual([]);
      expect(layers.reduce((sum, { weights }) => sum + weights, 0)).toBe(
        net.variables.reduce((sum, { size }) => sum + size, 0),
      );
      expect(layers.every(({ averaged }) => averaged)).toBe(true);
      optimizer.dispose();
      net.dispose();
    });

    it('goes on from what was saved with the same bits', async () => {
      const net = make();
      const first = cgfac({ seed: 2 });
      take(first, net, 3);
      const saved = await first.getWeights();
      const weights = net.variables.map((each) => each.clone());
      take(first, net, 3);
      const expected = bits(net.variables);
      const averaged = await first.withAveragedWeights(() => bits(net.variables));

      for (const [index, each] of net.variables.entries()) each.assign(weights[index] ?? each);
      const second = CgfacOptimizer.fromConfig(CgfacOptimizer, first.getConfig()) as CgfacOptimizer;
      await second.setWeights(saved);
      take(second, net, 3);
      expect(bits(net.variables)).toEqual(expected);
      expect(await second.withAveragedWeights(() => bits(net.variables))).toEqual(averaged);
      for (const optimizer of [first, second]) optimizer.dispose();
      net.dispose();
    });
  });
});
