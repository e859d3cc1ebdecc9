/** Solves of a small layer by every method, put into the equation that they are to solve. */
import type * as Package from '../index';

/** What one test of the self-test found. */
export interface Check {
  readonly name: string;
  readonly passed: boolean;
  /** In words, for a report. */
  readonly found: string;
}

const [inFeatures, outFeatures, batch] = [13, 11, 7];
const damping = 0.1;

const iterative = { method: 'cg', warmStart: 'none', maxIterations: 200, tolerance: 0 } as const;

/**
 * Each method, and the residual that its solution may have: float32 at a condition below 100; conjugate gradients end
 * at 2⁻¹¹, below which their recurrence says nothing.
 */
const methods = {
  exact: { options: { method: 'exact' }, bound: 1e-4 },
  kfac: { options: { method: 'kfac', factorHistory: 'dense' }, bound: 1e-4 },
  'cg, gram': { options: { ...iterative, space: 'gram' }, bound: 1e-3 },
  'cg, weight': { options: { ...iterative, space: 'weight' }, bound: 1e-3 },
} as const;

/** Numbers in (−1, 1) by a linear congruence. */
function numbers(length: number, seed: number): Float32Array {
  let state = seed;
  return Float32Array.from({ length }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return (state >>> 8) / 2 ** 23 - 1;
  });
}

const inputs = numbers(batch * inFeatures, 1);
const outputGrads = numbers(batch * outFeatures, 2);
const v = numbers(outFeatures * inFeatures, 3);

/** rowsᵀ rows/batch, row-major. */
function factor(rows: Float32Array, features: number): Float64Array {
  const result = new Float64Array(features * features);
  for (let i = 0; i < result.length; i++) {
    const [j, k] = [Math.floor(i / features), i % features];
    let sum = 0;
    for (let row = 0; row < batch; row++) sum += (rows[row * features + j] ?? 0) * (rows[row * features + k] ?? 0);
    result[i] = sum / batch;
  }
  return result;
}

/** ‖G x A + λx − v‖/‖v‖ in float64. */
function residual(x: Float32Array): number {
  const a = factor(inputs, inFeatures);
  const g = factor(outputGrads, outFeatures);
  let errors = 0;
  let squares = 0;
  for (let i = 0; i < outFeatures; i++) {
    for (let j = 0; j < inFeatures; j++) {
      const place = i * inFeatures + j;
      let sum = damping * (x[place] ?? 0) - (v[place] ?? 0);
      for (let k = 0; k < outFeatures; k++) {
        for (let l = 0; l < inFeatures; l++) {
          sum += (g[i * outFeatures + k] ?? 0) * (x[k * inFeatures + l] ?? 0) * (a[l * inFeatures + j] ?? 0);
        }
      }
      errors += sum ** 2;
      squares += (v[place] ?? 0) ** 2;
    }
  }
  return Math.sqrt(errors / squares);
}

async function checkMethod(cgfac: typeof Package, name: keyof typeof methods): Promise<Check> {
  const { options, bound } = methods[name];
  const layer = { inFeatures, outFeatures, damping, lossReduction: 'sum', dampingMode: 'tikhonov' } as const;
  const preconditioner = new cgfac.LayerPreconditioner({ ...layer, ...options });
  preconditioner.record({ inputs, outputGrads, batch });
  const { x } = preconditioner.preconditionSync(v);
  const later = await preconditioner.precondition(v);
  preconditioner.dispose();
  const found = residual(x);
  const same = x.every((number, i) => Object.is(number, later.x[i]));
  const bits = same ? '' : '; the asynchronous call gave other bits';
  return { name, passed: found <= bound && same, found: `residual ${found.toExponential(1)}${bits}` };
}

/** Every method, by its synchronous and its asynchronous call; an error is a test that failed. */
export async function selfTest(cgfac: typeof Package): Promise<Check[]> {
  const checks: Check[] = [];
  for (const name of Object.keys(methods) as (keyof typeof methods)[]) {
    try {
      checks.push(await checkMethod(cgfac, name));
    } catch (error) {
      checks.push({ name, passed: false, found: error instanceof Error ? error.message : String(error) });
    }
  }
  return checks;
}
