import { loadDigits } from '../../datasets/digits';
import { PIXELS } from '../../datasets/pictures';
import {
  backward,
  createLayers,
  crossEntropy,
  errorsOf,
  evaluate,
  forward,
  type Layer,
  precondition,
  softmax,
  trainStep,
} from '../../examples/mlp-from-scratch';
import { buildExamples, startProgram } from '../support/programs';

const MINUTE = 60_000;
const WIDTHS = [PIXELS, 24, 15, 10];

const { training: digits } = loadDigits();
const slice = (first: number, count: number) =>
  [
    digits.pixels.subarray(first * PIXELS, (first + count) * PIXELS),
    digits.labels.subarray(first, first + count),
  ] as const;

function lossOf(layers: readonly Layer[], x: Float32Array, labels: Uint8Array): number {
  return crossEntropy(softmax(forward(layers, x, labels.length).logits), labels);
}

/** The loss's derivative by one weight, by the central difference. */
function difference(
  layers: readonly Layer[],
  weights: Float32Array,
  at: number,
  x: Float32Array,
  labels: Uint8Array,
): number {
  const weight = weights[at] ?? Number.NaN;
  const loss = (moved: number) => {
    weights[at] = moved;
    const value = lossOf(layers, x, labels);
    weights[at] = weight;
    return value;
  };
  const [above, below] = [Math.fround(weight + 3e-4), Math.fround(weight - 3e-4)];
  return (loss(above) - loss(below)) / (above - below);
}

/** The places of the numbers that are largest in size: where a difference has figures to compare. */
function largest(values: Float32Array, count: number): number[] {
  return [...values.keys()].sort((a, b) => Math.abs(values[b] ?? 0) - Math.abs(values[a] ?? 0)).slice(0, count);
}

test.each([32, 13])('the rows make up the gradient that finite differences have, %i rows', (rows) => {
  const layers = createLayers(WIDTHS, 3);
  const [x, labels] = slice(500, rows);
  const { inputs, logits } = forward(layers, x, rows);
  const gradients = backward(layers, inputs, errorsOf(softmax(logits), labels), rows);
  layers.forEach((layer, l) => {
    const { inFeatures: n, outFeatures: m, weights } = layer;
    const [a, g] = [inputs[l] ?? [], gradients[l] ?? []];
    const kernel = new Float32Array(m * n);
    const bias = new Float32Array(m);
    for (let i = 0; i < rows; i++) {
      for (let j = 0; j < m; j++) {
        bias[j] = (bias[j] ?? 0) + (g[i * m + j] ?? 0);
        for (let k = 0; k < n; k++)
          kernel[j * n + k] = (kernel[j * n + k] ?? 0) + (g[i * m + j] ?? 0) * (a[i * n + k] ?? 0);
      }
    }
    for (const [own, values] of [
      [weights.kernel, kernel],
      [weights.bias, bias],
    ] as const) {
      for (const at of largest(values, 5)) {
        // the loss is exact to about 1e-8, the quotient to 1e-8/6e-4; a unit of relu that changes sides on the way adds
        // to that
        expect(Math.abs(difference(layers, own, at, x, labels) - (values[at] ?? 0))).toBeLessThan(
          1e-2 * Math.abs(values[at] ?? 0) + 1e-4,
        );
      }
    }
  });
});

test('a few steps bring the loss down, and the averages with it', async () => {
  const layers = createLayers(WIDTHS, 1);
  const preconditioner = precondition(layers, 1);
  const held = slice(8000, 200);
  const before = evaluate(layers, ...held);
  const losses = Array.from({ length: 12 }, (_, step) =>
    trainStep(layers, preconditioner, ...slice(64 * (step % 4), 64)),
  );
  expect(losses.at(-1)).toBeLessThan(0.5 * (losses[0] ?? 0));
  const after = await preconditioner.withAveragedWeights(() => evaluate(layers, ...held));
  expect(after.loss).toBeLessThan(0.7 * before.loss);
  expect(after.accuracy).toBeGreaterThan(before.accuracy + 0.3);
});

test('the same seed gives the same steps', () => {
  const run = (seed: number) => {
    const layers = createLayers(WIDTHS, seed);
    const preconditioner = precondition(layers, seed);
    return [0, 64].map((first) => trainStep(layers, preconditioner, ...slice(first, 64)));
  };
  expect(run(2)).toEqual(run(2));
  expect(run(2)).not.toEqual(run(3));
});

describe('as a program', () => {
  beforeAll(buildExamples, MINUTE);

  const start = (...args: string[]) => startProgram('mlp-from-scratch.js', args);

  test(
    'says what it has reached on the held-out digits',
    () => {
      const { status, stdout, stderr } = start('--steps', '2', '--seed', '4');
      expect({ status, stderr }).toMatchObject({
        status: 0,
        stderr: expect.stringMatching(/^train +step 2\/2 +loss \d\.\d{4} +\d+ ms\/step$/m),
      });
      expect(stdout).toMatch(/^Classifier 784-500-300-10, 2 steps of 256 digits, seed 4/);
      expect(stdout).toMatch(/^step +2 +loss \d\.\d{4} +accuracy \d+\.\d % +\d+\.\d s of training$/m);
    },
    MINUTE,
  );

  test.each([
    [['--steps', '0'], 'Expected an integer from 1'],
    [['--seed', 'x'], 'Expected an integer from 0'],
    [['--step', '5'], "unknown option '--step'"],
  ])('refuses %j', (args, message) => {
    expect(start(...args)).toMatchObject({ status: 1, stdout: '', stderr: expect.stringContaining(message) });
  });
});
