import { ConjugateGradient, FisherOperator, type KernelLayout, LayerPreconditioner, type WeightVector } from 'cgfac';
import fc from 'fast-check';
import { at, dot, matrixOf, relativeError } from '../golden-case';
import { arraysOf, randomOperator, randomVector, type Shape, transposed } from '../layers';

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

const flat = (x: WeightVector) => Float64Array.from(arraysOf(x).flatMap((array) => [...array]));
const bits = (x: WeightVector) => arraysOf(x).map((array) => Buffer.from(array.buffer, array.byteOffset, array.byteLength).toString('hex'));
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
  // One product rounds with a relative error of a few 2⁻²⁴ = 6e-8 of ‖F + λI‖·‖x‖; 2e-6 is the bound of the golden cases.
  const rounding = 2e-6;

  test('is symmetric: x′(Fy) = y′(Fx)', () => {
    fc.assert(
      fc.property(shapes, seeds, (shape, seed) => {
        const operator = new FisherOperator(randomOperator(shape, seed, damping));
        const x = randomVector(shape, seed + 10);
        const y = randomVector(shape, seed + 20);
        const left = dot(flat(x), flat(operator.applySync(y)));
        const right = dot(flat(y), flat(operator.applySync(x)));
        const scale = operatorNorm(shape, seed) * norm(flat(x)) * norm(flat(y));
        expect(Math.abs(left - right)).toBeLessThanOrEqual(rounding * scale);
      }),
    );
  });

  test('is positive: x′(F + λI)x ≥ λ‖x‖²', () => {
    fc.assert(
      fc.property(shapes, seeds, (shape, seed) => {
        const operator = new FisherOperator(randomOperator(shape, seed, damping));
        const x = randomVector(shape, seed + 10);
        const squared = dot(flat(x), flat(x));
        const slack = rounding * operatorNorm(shape, seed) * squared;
        expect(dot(flat(x), flat(operator.applySync(x)))).toBeGreaterThanOrEqual(damping * squared - slack);
      }),
    );
  });

  test('is linear', () => {
    fc.assert(
      fc.property(shapes, seeds, fc.constantFrom(-2, 0.25, 3), (shape, seed, factor) => {
        const operator = new FisherOperator(randomOperator(shape, seed, damping));
        const x = randomVector(shape, seed + 10);
        const y = randomVector(shape, seed + 20);
        const together = flat(operator.applySync(combine(x, factor, y)));
        const apart = flat(combine(operator.applySync(x), factor, operator.applySync(y)));
        const scale = operatorNorm(shape, seed) * (norm(flat(x)) + Math.abs(factor) * norm(flat(y)));
        expect(norm(together.map((value, i) => value - at(apart, i)))).toBeLessThanOrEqual(rounding * scale);
      }),
    );
  });

  test('twice the same input gives the same bits, in place or apart, sync or async', async () => {
    await fc.assert(
      fc.asyncProperty(shapes, seeds, async (shape, seed) => {
        const operator = new FisherOperator(randomOperator(shape, seed, damping));
        const x = randomVector(shape, seed + 10);
        const first = bits(operator.applySync(x));
        expect(bits(operator.applySync(x))).toEqual(first);
        expect(bits(await operator.apply(x))).toEqual(first);
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
          expect(bits(other.x)).toEqual(bits(first.x));
          expect({ ...other, x: undefined }).toEqual({ ...first, x: undefined });
        }
      }),
    );
  });

  test('a LayerPreconditioner gives the bits of a ConjugateGradient, sync and async, in every warm start', async () => {
    await fc.assert(
      fc.asyncProperty(shapes, seeds, spaces, fc.constantFrom('none', 'previous', 'scaled'), async (shape, seed, space, warmStart) => {
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
        expect(bits(new ConjugateGradient(budget).solveSync(operator, v).x)).toEqual(bits(first.x));
        expect(bits((await async.precondition(v)).x)).toEqual(bits(first.x));
        const second = sync.preconditionSync(v);
        expect(bits((await async.precondition(v)).x)).toEqual(bits(second.x));
        sync.dispose();
        async.dispose();
      }),
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
          return dot(flat(x), flat(operator.applySync(x))) / 2 - dot(flat(v), flat(x));
        };
        const energies = [1, 2, 3, 5, 8].map(energy);
        const slack = 2e-6 * (dot(flat(v), flat(v)) / damping); // the rounding of one product, on an energy of at most ‖v‖²/λ
        for (let k = 1; k < energies.length; k++) expect(at(energies, k)).toBeLessThanOrEqual(at(energies, k - 1) + slack);
      }),
    );
  });
});
