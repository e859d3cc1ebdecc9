/** Slices of a kernel, a dense layer for each, against independent float64 code. */
import { Preconditioner } from 'cgfac';
import { relativeError } from '../../../support/golden-case';
import { GoldenSlices } from '../../../support/golden-slices';
import { fixed } from '../../../support/steps';

const golden = new GoldenSlices('kinds/gru-recurrent');
const { batch, fisherBatch, relativeDamping, blocks } = golden.manifest;

/** What is asked of directions of every kind; one in float32 is right to 2⁻²⁴ times the condition, below 10 here. */
const DIRECTION = 1e-5;
/** A sum of 24 products in float32. */
const GRADIENT = 2e-6;

function recorded(): Preconditioner {
  const preconditioner = new Preconditioner({
    ...fixed,
    lossReduction: 'sum',
    factorHistory: 'none',
    damping: { relative: relativeDamping },
  });
  for (const [block, { from, to }] of blocks.entries()) {
    const name = `kernel@${from}:${to}`;
    const [inFeatures] = golden.size;
    const { inputs, lossGrads, fisherGrads } = golden.rows(block);
    preconditioner.registerDense(name, { inFeatures, outFeatures: to - from, bias: false, kernelLayout: 'in-out' });
    preconditioner.record(name, { inputs, lossGrads, batch });
    preconditioner.recordFisher(name, { outputGrads: fisherGrads, batch: fisherBatch });
  }
  return preconditioner;
}

const names = blocks.map(({ from, to }) => `kernel@${from}:${to}`);

it('the given gradient of each slice becomes its direction', () => {
  const gradients = Object.fromEntries(
    names.map((name, block) => [name, Float32Array.from(golden.columns('kernelGrad', block))]),
  );
  recorded().stepSync(gradients);
  for (const [block, name] of names.entries())
    expect(relativeError(gradients[name] ?? [], golden.columns('expand_kernel', block))).toBeLessThan(DIRECTION);
});

it("so does the rows' own gradient, which is that of the kernel", () => {
  const { updates } = recorded().naturalGradientsSync();
  for (const [block, name] of names.entries()) {
    const update = updates[name];
    expect(
      relativeError(update instanceof Float32Array ? update : [], golden.columns('expand_kernel', block)),
    ).toBeLessThan(DIRECTION);
    const { inputs, lossGrads } = golden.rows(block);
    const [inFeatures] = golden.size;
    const outFeatures = lossGrads.length / (inputs.length / inFeatures);
    const own = new Float32Array(inFeatures * outFeatures);
    for (let row = 0; row < inputs.length / inFeatures; row++) {
      for (let i = 0; i < inFeatures; i++) {
        for (let j = 0; j < outFeatures; j++) {
          const at = i * outFeatures + j;
          own[at] =
            (own[at] ?? 0) + ((inputs[row * inFeatures + i] ?? 0) * (lossGrads[row * outFeatures + j] ?? 0)) / batch;
        }
      }
    }
    expect(relativeError(own, golden.columns('kernelGrad', block))).toBeLessThan(GRADIENT);
  }
});
