/** Arrays of a step serve the next one: no step reads what another one has written there. */
import * as tf from '@tensorflow/tfjs-core';
import { type CgfacOptimizer, type CgfacOptions, cgfac, installKernels } from '../../../lib/tfjs';
import { normal, quietScopes, useBackend, variable } from '../support/backends';

quietScopes();
beforeAll(async () => {
  await useBackend('wasm');
  installKernels(tf);
});

const [B, D, H] = [40, 6, 5];

interface Trained {
  readonly optimizer: CgfacOptimizer;
  readonly variables: tf.Variable[];
  /** The loss of a batch of as many samples. */
  readonly lossOf: (step: number, samples?: number) => () => tf.Scalar;
}

function network(options: CgfacOptions): Trained {
  const variables = [variable([D, H], 1), variable([H, H], 2), variable([H, 3], 3)];
  const [first, second, last] = variables as [tf.Variable, tf.Variable, tf.Variable];
  const lossOf = (step: number, samples = B) => {
    const [x, y] = [normal([samples, D], 10 + step), normal([samples, 3], 1000 + step)];
    return () => {
      const hidden = tf.tanh(tf.matMul(tf.tanh(tf.matMul(x, first)), second));
      return tf.losses.meanSquaredError(y, tf.matMul(hidden, last)) as tf.Scalar;
    };
  };
  return { optimizer: cgfac({ seed: 1, ...options }), variables, lossOf };
}

const STEPS = 12;
const weightsOf = ({ variables }: Trained) => variables.map((each) => each.dataSync<'float32'>().slice());

/** Weights after some steps, with something done before each. */
function trained(options: CgfacOptions, before: (network: Trained, step: number) => void = () => {}): Float32Array[] {
  const made = network(options);
  for (let step = 0; step < STEPS; step++) {
    before(made, step);
    made.optimizer.minimize(made.lossOf(step), false, made.variables);
  }
  const weights = weightsOf(made);
  made.optimizer.dispose();
  return weights;
}

describe.each<[string, CgfacOptions]>([
  ['sampled targets', {}],
  ["the batch's own gradients", { fisher: 'empirical' }],
  ['conjugate gradients, which keep rows', { method: 'cg' }],
])('with %s', (_, options) => {
  it.each<[string, (network: Trained, step: number) => void]>([
    [
      'captures that nobody applies',
      ({ optimizer, variables, lossOf }, step) => {
        const { value, grads } = optimizer.computeGradients(lossOf(100 + step), variables);
        tf.dispose([value, grads]);
      },
    ],
    [
      'steps that are refused',
      ({ optimizer, variables, lossOf }, step) => {
        const { value, grads } = optimizer.computeGradients(lossOf(step), variables);
        expect(() => optimizer.applyGradients({ ...grads, [`${variables[0]?.name}`]: tf.zeros([1]) })).toThrow(
          expect.objectContaining({ code: 'ERR_CGFAC_SHAPE_MISMATCH' }),
        );
        tf.dispose([value, grads]);
      },
    ],
    [
      'steps of another network',
      (() => {
        let made: Trained | undefined;
        return (_: Trained, step: number) => {
          made = made ?? network(options);
          const other = made;
          other.optimizer.minimize(other.lossOf(500 + step), false, other.variables);
        };
      })(),
    ],
  ])('%s in between leave the bits', (_name, before) => {
    expect(trained(options, before)).toEqual(trained(options));
  });
});

it('a captured step keeps its rows while others are captured, and refused', () => {
  const between: ((network: Trained, step: number) => void)[] = [
    () => {},
    ({ optimizer, variables, lossOf }, step) => {
      const refused = () => {
        throw new Error('no rate');
      };
      // what is refused was captured: the rate is asked for once the step is to be taken
      optimizer.learningRate = refused;
      expect(() => optimizer.minimize(lossOf(step + 300), false, variables)).toThrow('no rate');
      optimizer.learningRate = 1;
    },
  ];
  const [plain, disturbed] = between.map((disturb) => {
    const made = network({});
    const { optimizer, variables, lossOf } = made;
    for (let step = 0; step < STEPS; step++) {
      const { value, grads } = optimizer.computeGradients(lossOf(step), variables);
      disturb(made, step);
      optimizer.applyGradients(grads);
      tf.dispose([value, grads]);
    }
    return weightsOf(made);
  });
  expect(disturbed).toEqual(plain);
});

it('what is kept is counted as workspace, does not grow, and goes with the optimizer', () => {
  const { optimizer, variables, lossOf } = network({});
  const kept: number[] = [];
  for (let step = 0; step < STEPS; step++) {
    optimizer.minimize(lossOf(step), false, variables);
    const { workspace, total, recorded, factors, momentum, averages } = optimizer.memoryUsage();
    expect(total).toBe(recorded + factors + workspace + momentum + averages);
    kept.push(workspace);
  }
  // at the least the inputs of the layers
  expect(kept.at(-1)).toBeGreaterThan(4 * B * (D + H + H));
  expect(new Set(kept.slice(3)).size).toBe(1);
  // batches of other sizes do not add up
  for (let samples = B; samples < B + 20; samples++) optimizer.minimize(lossOf(samples, samples), false, variables);
  expect(optimizer.memoryUsage().workspace).toBeLessThan(4 * (kept.at(-1) ?? 0));
  // of a captured step it is what that has taken
  const before = optimizer.memoryUsage().workspace;
  const { value, grads } = optimizer.computeGradients(lossOf(0), variables);
  expect(optimizer.memoryUsage().workspace).toBeGreaterThan(0.9 * before);
  tf.dispose([value, grads]);
  optimizer.dispose();
  expect(optimizer.memoryUsage().workspace).toBe(0);
});
