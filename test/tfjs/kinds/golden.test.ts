/** Kinds of layers as ops of TensorFlow.js, against float64 results of independent code. */
import * as tf from '@tensorflow/tfjs-core';
import { cgfac, installKernels } from '../../../lib/tfjs';
import { relativeError } from '../../support/golden-case';
import { GoldenKind, kindCases, type Sharing } from '../../support/golden-kinds';
import { quietWarnings, useBackend } from '../support/backends';
import { capturedRows } from '../support/capture';
import { type GoldenOps, goldenOps, linearLoss, type Written } from '../support/golden-ops';

/** What is asked of directions of every kind. */
const DIRECTION = 1e-5;

/** Float32 sums of some hundred products, in the framework's own order. */
const GRADIENT = 2e-6;

/** TensorFlow.js has no gradient of a convolution with dilations. */
const untrainable = 'conv2d-dilated';

const trained = kindCases.filter((name) => name !== untrainable);
const ways = trained.flatMap((name): (readonly [string, Written])[] => {
  const fusible = ['conv2d', 'depthwiseConv2d'].includes(new GoldenKind(name).manifest.kind);
  return [[name, 'plain'], ...(fusible ? [[name, 'fused'] as const] : [])];
});
const table = ways.flatMap(([name, written]) =>
  new GoldenKind(name).sharings.map((sharing) => [name, written, sharing] as const),
);

quietWarnings();

/** Gradients of fewer samples, with zeros for the others, so that the mean of their squares over all is the same. */
function ofAll(golden: GoldenKind): Float32Array {
  const { batch, fisherBatch } = golden.manifest;
  const grads = golden.float32('fisherGrads');
  const all = new Float32Array((grads.length / fisherBatch) * batch);
  all.set(grads.map((g) => g * Math.sqrt(batch / fisherBatch)));
  return all;
}

/** The optimizer whose step of a given gradient is the direction. */
const stepping = (golden: GoldenKind, weightSharing: Sharing) =>
  cgfac({
    method: 'exact',
    fisher: 'empirical',
    factorHistory: 'none',
    damping: { relative: golden.manifest.relativeDamping },
    stepRule: 'fixed',
    momentum: 0,
    useEma: false,
    weightSharing,
    maxRows: 1000,
  });

/** Arrays of float64 numbers as tensors of variables. */
const tensorsOf = (variables: readonly tf.Variable[], arrays: readonly Float64Array[]) =>
  Object.fromEntries(
    variables.map(({ name, shape }, index) => [name, tf.tensor(Float32Array.from(arrays[index] ?? []), shape)]),
  );

const numbersOf = ({ variables }: GoldenOps) => Float64Array.from(variables.flatMap((each) => [...each.dataSync()]));
const joined = (arrays: readonly Float64Array[]) => Float64Array.from(arrays.flatMap((array) => [...array]));

describe.each(['cpu', 'wasm'] as const)('on %s', (backend) => {
  beforeAll(async () => {
    await useBackend(backend);
    if (backend === 'wasm') installKernels(tf);
  });
  beforeEach(() => tf.engine().startScope());
  afterEach(() => {
    tf.engine().endScope();
    tf.disposeVariables();
  });

  it.each(ways)('%s, %s: rows and gradients are those of the case', (name, written) => {
    const golden = new GoldenKind(name);
    const { batch } = golden.manifest;
    const ops = goldenOps(golden, written);
    const lossGrads = golden.float32('lossGrads');
    const { taken, grads } = capturedRows(linearLoss(ops, lossGrads, batch), ops.variables);
    expect(taken.lone).toEqual([]);
    expect(taken.layers).toHaveLength(1);
    const [layer] = taken.layers;
    const [kernel, bias] = ops.variables;
    expect(layer).toMatchObject({ samples: batch, kernel: { variable: kernel } });
    expect(layer?.bias?.variable).toBe(bias);
    const [inputs] = layer?.siteInputs ?? [];
    expect(inputs?.length).toBe(golden.inputs.length);
    // x̂ is (x − 0)·(1/√1), of which the backends round the root
    expect(relativeError(Float64Array.from(inputs ?? []), Float64Array.from(golden.inputs))).toBeLessThan(1e-6);
    const [found = new Float32Array()] = layer?.lossGrads ?? [];
    expect(
      relativeError(
        found.map((g) => g * batch),
        Float64Array.from(lossGrads),
      ),
    ).toBeLessThan(1e-6);
    const { gradient } = golden.expected('expand');
    for (const [index, variable] of ops.variables.entries())
      expect(relativeError(grads[variable.name]?.dataSync() ?? [], gradient[index] ?? [])).toBeLessThan(GRADIENT);
  });

  it.each(table)('%s, %s: a step is the direction, %s', (name, written, sharing) => {
    const golden = new GoldenKind(name);
    const ops = goldenOps(golden, written);
    const optimizer = stepping(golden, sharing);
    // the gradient of a loss that is linear in the output is what it multiplies that by: what G is made of
    optimizer.computeGradients(linearLoss(ops, ofAll(golden), golden.manifest.batch), [...ops.variables]);
    const { gradient, direction } = golden.expected(sharing);
    optimizer.applyGradients(tensorsOf(ops.variables, gradient));
    expect(optimizer.lastStep?.summary?.skipped).toBeUndefined();
    expect(optimizer.report()?.layers).toHaveLength(1);
    const moved = numbersOf(ops).map((number) => -number);
    expect(relativeError(moved, joined(direction))).toBeLessThan(DIRECTION);
    optimizer.dispose();
  });

  it('a convolution with dilations is what TensorFlow.js has no gradient of', () => {
    const golden = new GoldenKind(untrainable);
    const ops = goldenOps(golden, 'plain');
    const loss = linearLoss(ops, golden.float32('lossGrads'), golden.manifest.batch);
    const message = /dilation rates greater than 1 are not yet supported in gradients/;
    expect(() => tf.variableGrads(loss, [...ops.variables])).toThrow(message);
    const optimizer = cgfac();
    expect(() => optimizer.minimize(loss, false, [...ops.variables])).toThrow(message);
    optimizer.dispose();
  });
});
