import { ConjugateGradient, FisherOperator, type KernelLayout, LayerPreconditioner, type WeightVector } from 'cgfac';
import fc from 'fast-check';
import { at, dot, matrixOf, relativeError } from '../support/golden-case';
import { randomOperator, randomVector, type Shape, transposed } from '../support/layers';
import {
  bitsOf,
  elementsOf,
  formedGradient,
  layerWith,
  methodNames,
  methods,
  randomRows,
  recordable,
  unitRoundoff,
} from '../support/methods';

// Shrinkable random shapes: either side may have more rows than features, one row, one feature.
const shapes = fc.record({
  inFeatures: fc.integer({ min: 1, max: 24 }),
  outFeatures: fc.integer({ min: 1, max: 24 }),
  batch: fc.integer({ min: 1, max: 32 }),
  fisherRows: fc.integer({ min: 1, max: 32 }),
  bias: fc.boolean(),
});
const seeds = fc.integer({ min: 1, max: 1_000_000 });
const spaces = fc.constantFrom('gram' as const, 'weight' as const);
const damping = 0.5;

const norm = (x: ArrayLike<number>) => Math.sqrt(dot(x, x));

/** ‖F + λI‖_F, an upper bound of what one product can do to a vector: tr(A)·tr(G) + λ. */
function operatorNorm(shape: Shape, seed: number): number {
  const { inputs, outputGrads } = randomOperator(shape, seed);
  const inputTrace = dot(inputs, inputs) / shape.batch + (shape.bias ? 1 : 0);
  return (inputTrace * dot(outputGrads, outputGrads)) / shape.fisherRows + damping;
}

function combine(x: WeightVector, factor: number, y: WeightVector): WeightVector {
  const sum = (p: Float32Array, q: Float32Array) => p.map((value, i) => value + factor * at(q, i));
  if (x instanceof Float32Array) return sum(x, y as Float32Array);
  const { kernel, bias } = y as Exclude<WeightVector, Float32Array>;
  return { kernel: sum(x.kernel, kernel), bias: sum(x.bias, bias) };
}

describe('FisherOperator', () => {
  // One product rounds with a relative error of a few 2⁻²⁴ = 6e-8 of ‖F + λI‖·‖x‖; 2e-6 is the bound of the golden
  // cases.
  const rounding = 2e-6;

  test('is symmetric: x′(Fy) = y′(Fx)', () => {
    fc.assert(
      fc.property(shapes, seeds, (shape, seed) => {
        const operator = new FisherOperator(randomOperator(shape, seed, damping));
        const x = randomVector(shape, seed + 10);
        const y = randomVector(shape, seed + 20);
        const left = dot(elementsOf(x), elementsOf(operator.applySync(y)));
        const right = dot(elementsOf(y), elementsOf(operator.applySync(x)));
        const scale = operatorNorm(shape, seed) * norm(elementsOf(x)) * norm(elementsOf(y));
        expect(Math.abs(left - right)).toBeLessThanOrEqual(rounding * scale);
      }),
    );
  });

  test('is positive: x′(F + λI)x ≥ λ‖x‖²', () => {
    fc.assert(
      fc.property(shapes, seeds, (shape, seed) => {
        const operator = new FisherOperator(randomOperator(shape, seed, damping));
        const x = randomVector(shape, seed + 10);
        const squared = dot(elementsOf(x), elementsOf(x));
        const slack = rounding * operatorNorm(shape, seed) * squared;
        expect(dot(elementsOf(x), elementsOf(operator.applySync(x)))).toBeGreaterThanOrEqual(damping * squared - slack);
      }),
    );
  });

  test('is linear', () => {
    fc.assert(
      fc.property(shapes, seeds, fc.constantFrom(-2, 0.25, 3), (shape, seed, factor) => {
        const operator = new FisherOperator(randomOperator(shape, seed, damping));
        const x = randomVector(shape, seed + 10);
        const y = randomVector(shape, seed + 20);
        const together = elementsOf(operator.applySync(combine(x, factor, y)));
        const apart = elementsOf(combine(operator.applySync(x), factor, operator.applySync(y)));
        const scale = operatorNorm(shape, seed) * (norm(elementsOf(x)) + Math.abs(factor) * norm(elementsOf(y)));
        expect(norm(together.map((value, i) => value - at(apart, i)))).toBeLessThanOrEqual(rounding * scale);
      }),
    );
  });

  test('twice the same input gives the same bits, in place or apart, sync or async', async () => {
    await fc.assert(
      fc.asyncProperty(shapes, seeds, async (shape, seed) => {
        const operator = new FisherOperator(randomOperator(shape, seed, damping));
        const x = randomVector(shape, seed + 10);
        const first = bitsOf(operator.applySync(x));
        expect(bitsOf(operator.applySync(x))).toEqual(first);
        expect(bitsOf(await operator.apply(x))).toEqual(first);
      }),
    );
  });
});

describe.each(['out-in', 'in-out'] as const)('kernels lie %s', (kernelLayout: KernelLayout) => {
  test('both layouts give the same vectors', () => {
    fc.assert(
      fc.property(shapes, seeds, spaces, (shape, seed, space) => {
        const options = randomOperator(shape, seed, damping);
        const x = randomVector(shape, seed + 10);
        const here = kernelLayout === 'out-in' ? x : transposed(x, shape.outFeatures, 'out-in');
        const operator = new FisherOperator({ ...options, kernelLayout });
        const reference = new FisherOperator(options);
        const solver = new ConjugateGradient({ space, maxIterations: 3, tolerance: 0 });
        const pairs = [
          [operator.applySync(here), reference.applySync(x)],
          [solver.solveSync(operator, here).x, solver.solveSync(reference, x).x],
        ] as const;
        for (const [ours, theirs] of pairs) {
          // the same products but for the order of their sums: a few 2⁻²⁴, and three iterations more of them
          const matrix = matrixOf(theirs, shape.outFeatures);
          expect(relativeError(matrixOf(ours, shape.outFeatures, kernelLayout), matrix)).toBeLessThanOrEqual(1e-6);
        }
      }),
    );
  });
});

describe('solves', () => {
  test('twice the same input gives the same bits, and sync = async', async () => {
    await fc.assert(
      fc.asyncProperty(shapes, seeds, spaces, async (shape, seed, space) => {
        const operator = new FisherOperator(randomOperator(shape, seed, damping));
        const v = randomVector(shape, seed + 10);
        const solver = new ConjugateGradient({ space, maxIterations: 6, tolerance: 0, history: true });
        const first = solver.solveSync(operator, v);
        const again = solver.solveSync(operator, v);
        const later = await solver.solve(operator, v);
        for (const other of [again, later]) {
          expect(bitsOf(other.x)).toEqual(bitsOf(first.x));
          expect({ ...other, x: undefined }).toEqual({ ...first, x: undefined });
        }
      }),
    );
  });

  test('a LayerPreconditioner gives the bits of a ConjugateGradient, sync and async, in every warm start', async () => {
    await fc.assert(
      fc.asyncProperty(
        shapes,
        seeds,
        spaces,
        fc.constantFrom('none', 'previous', 'scaled'),
        async (shape, seed, space, warmStart) => {
          const { inputs, outputGrads, batch, fisherRows, ...layerOptions } = randomOperator(shape, seed, damping);
          const budget = { space, maxIterations: 3, tolerance: 0 };
          const sync = new LayerPreconditioner({ ...layerOptions, ...budget, warmStart });
          const async = new LayerPreconditioner({ ...layerOptions, ...budget, warmStart });
          const rows = { inputs, outputGrads, batch, fisherRows: fisherRows ?? batch };
          sync.record(rows);
          async.record(rows);
          const v = randomVector(shape, seed + 10);
          const first = sync.preconditionSync(v);
          const operator = new FisherOperator({ ...layerOptions, ...rows });
          expect(bitsOf(new ConjugateGradient(budget).solveSync(operator, v).x)).toEqual(bitsOf(first.x));
          expect(bitsOf((await async.precondition(v)).x)).toEqual(bitsOf(first.x));
          const second = sync.preconditionSync(v);
          expect(bitsOf((await async.precondition(v)).x)).toEqual(bitsOf(second.x));
          sync.dispose();
          async.dispose();
        },
      ),
    );
  });

  test('N = 1 equals Sherman–Morrison', () => {
    fc.assert(
      fc.property(shapes, seeds, (anyShape, seed) => {
        const shape = { ...anyShape, batch: 1, fisherRows: 1 };
        const options = randomOperator(shape, seed, damping);
        const v = randomVector(shape, seed + 10);
        const { x } = new ConjugateGradient({ space: 'gram', tolerance: 0 }).solveSync(new FisherOperator(options), v);
        // F = u u′ with u = g [a 1]′: x = (v − u ⟨u, v⟩/(λ + ⟨u, u⟩))/λ
        const a = [...options.inputs, ...(shape.bias ? [1] : [])];
        const u = Float64Array.from(
          { length: shape.outFeatures * a.length },
          (_, i) => at(options.outputGrads, Math.floor(i / a.length)) * at(a, i % a.length),
        );
        const right = matrixOf(v, shape.outFeatures);
        const factor = dot(u, right) / (damping + dot(u, u));
        const expected = right.map((value, i) => (value - at(u, i) * factor) / damping);
        // two iterations end at the float32 floor: what is left of r, 2⁻¹¹‖v‖ at the most, over λ
        const difference = matrixOf(x, shape.outFeatures).map((value, i) => value - at(expected, i));
        expect(norm(difference)).toBeLessThanOrEqual((2 ** -11 * norm(right)) / damping);
      }),
    );
  });

  test('in Gram space the error never grows in the norm of F + λI', () => {
    fc.assert(
      fc.property(shapes, seeds, (shape, seed) => {
        const operator = new FisherOperator(randomOperator(shape, seed, damping));
        const v = randomVector(shape, seed + 10);
        // ½‖x − x*‖² in that norm is ½x′(F + λI)x − v′x up to a constant
        const energy = (maxIterations: number) => {
          const { x } = new ConjugateGradient({ space: 'gram', maxIterations, tolerance: 0 }).solveSync(operator, v);
          return dot(elementsOf(x), elementsOf(operator.applySync(x))) / 2 - dot(elementsOf(v), elementsOf(x));
        };
        const energies = [1, 2, 3, 5, 8].map(energy);
        // the rounding of one product, on an energy of at most ‖v‖²/λ
        const slack = 2e-6 * (dot(elementsOf(v), elementsOf(v)) / damping);
        for (let k = 1; k < energies.length; k++)
          expect(at(energies, k)).toBeLessThanOrEqual(at(energies, k - 1) + slack);
      }),
    );
  });
});

describe('methods', () => {
  test('exact: (F + λI) x = v', () => {
    fc.assert(
      fc.property(shapes, seeds, (shape, seed) => {
        const preconditioner = layerWith(shape, 'exact');
        const { inputs, outputGrads, batch, fisherRows } = randomOperator(shape, seed, damping);
        preconditioner.record({ inputs, outputGrads, batch, fisherRows: fisherRows ?? batch });
        const v = randomVector(shape, seed + 10);
        const { x } = preconditioner.preconditionSync(v);
        const back = elementsOf(new FisherOperator(randomOperator(shape, seed, damping)).applySync(x));
        const residual = elementsOf(v).map((value, i) => value - at(back, i));
        // the error of x, 4·2⁻²⁴ times the condition, through F + λI, and the rounding of that product
        const largest = operatorNorm(shape, seed);
        const bound = (4 * unitRoundoff * (largest / damping) + 2e-6) * largest * norm(elementsOf(x));
        expect(norm(residual)).toBeLessThanOrEqual(bound);
      }),
    );
  });

  test('factored: the inverse M is symmetric, ⟨u, Mv⟩ = ⟨Mu, v⟩', () => {
    fc.assert(
      fc.property(
        shapes,
        seeds,
        fc.constantFrom('exact, factored' as const, 'kfac, factored' as const),
        (shape, seed, name) => {
          const preconditioner = layerWith(shape, name);
          const { inputs, outputGrads, batch, fisherRows } = randomOperator(shape, seed, damping);
          preconditioner.record({ inputs, outputGrads, batch, fisherRows: fisherRows ?? batch });
          const u = randomVector(shape, seed + 10);
          const v = randomVector(shape, seed + 20);
          const { x: mv, damping: used } = preconditioner.preconditionSync(v);
          const { x: mu } = preconditioner.preconditionSync(u);
          if (typeof used !== 'object') throw new Error('no γ');
          // each side rounds relative to 1 + A/γ_A, or G/γ_G; M itself is below 1/(γ_A γ_G) = 1/λ
          const inputTrace = dot(inputs, inputs) / batch + (shape.bias ? 1 : 0);
          const outputTrace = dot(outputGrads, outputGrads) / (fisherRows ?? batch);
          const rounding = 2e-6 * (2 + inputTrace / used.input + outputTrace / used.output);
          const difference = Math.abs(dot(elementsOf(u), elementsOf(mv)) - dot(elementsOf(mu), elementsOf(v)));
          expect(difference).toBeLessThanOrEqual((rounding * norm(elementsOf(u)) * norm(elementsOf(v))) / damping);
        },
      ),
    );
  });

  test('the per-sample block: ⟨v, x⟩ > 0', () => {
    fc.assert(
      fc.property(shapes, seeds, (anyShape, seed) => {
        const shape = { ...anyShape, fisherRows: anyShape.batch };
        const preconditioner = layerWith(shape, 'exact, per sample');
        const rows = randomRows(shape, seed);
        preconditioner.record(recordable(rows));
        const v = randomVector(shape, seed + 10);
        const { x, vx, xFx } = preconditioner.preconditionSync(v);
        expect(dot(elementsOf(v), elementsOf(x))).toBeGreaterThan(0);
        expect(vx).toBeGreaterThan(0);
        expect(xFx).toBeGreaterThanOrEqual(0);
        const own = layerWith(shape, 'exact, per sample').naturalGradientSync(rows);
        expect(own.vx).toBeGreaterThan(0);
      }),
    );
  });

  test.each(methodNames)('the natural gradient is the direction of the gradient that it does not form: %s', (name) => {
    fc.assert(
      fc.property(
        shapes,
        seeds,
        fc.constantFrom('sum', 'mean'),
        fc.boolean(),
        (anyShape, seed, lossReduction, empirical) => {
          const square = empirical || name === 'exact, per sample';
          const shape = square ? { ...anyShape, fisherRows: anyShape.batch } : anyShape;
          const rows = randomRows(shape, seed, empirical);
          const scale = lossReduction === 'mean' ? 1 : 1 / shape.batch;
          if (lossReduction === 'mean') {
            // rows that carry 1/B, so that F is the same
            for (const grads of new Set([rows.outputGrads, rows.lossGrads]))
              for (let i = 0; i < grads.length; i++) grads[i] = at(grads, i) / shape.batch;
          }
          const { options: solving, bound } = methods[name];
          const budget = 'tolerance' in solving ? { maxIterations: 200 } : {};
          const options = { lossReduction, ...budget };
          const given = layerWith(shape, name, options);
          given.record(recordable(rows));
          const v = formedGradient(rows, shape, scale);
          const expected = elementsOf(given.preconditionSync(v).x);
          const { x } = layerWith(shape, name, options).naturalGradientSync(rows);
          if (x === undefined) throw new Error('no direction');
          const difference = norm(elementsOf(x).map((value, i) => value - at(expected, i)));
          const reduction = lossReduction === 'mean' ? shape.batch : 1;
          const trace = reduction ** 2 * (dot(rows.outputGrads, rows.outputGrads) / shape.fisherRows);
          const condition =
            1 + ((dot(rows.inputs, rows.inputs) / shape.batch + (shape.bias ? 1 : 0)) * trace) / damping;
          expect(difference).toBeLessThanOrEqual(bound(condition, norm(expected), norm(elementsOf(v)), damping));
        },
      ),
    );
  });
});
