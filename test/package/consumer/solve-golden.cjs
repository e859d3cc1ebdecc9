// Solves a golden case with the public API, as a program that installed the package would. It knows nothing of the
// repository but the directory that it is given, and nothing of the module system: it gets the package as an argument.
const { readFileSync } = require('node:fs');
const { join } = require('node:path');

/** Splits an (outFeatures × (inFeatures + 1)) matrix into { kernel, bias }; without a bias the matrix is the vector. */
function vectorOf(matrix, { outFeatures, inFeatures, bias }) {
  if (!bias) return Float32Array.from(matrix);
  const vector = { kernel: new Float32Array(outFeatures * inFeatures), bias: new Float32Array(outFeatures) };
  for (let row = 0; row < outFeatures; row++) {
    const start = row * (inFeatures + 1);
    vector.kernel.set(matrix.subarray(start, start + inFeatures), row * inFeatures);
    vector.bias[row] = matrix[start + inFeatures];
  }
  return vector;
}

function matrixOf(vector, { outFeatures, inFeatures, bias }) {
  if (!bias) return vector;
  const matrix = new Float32Array(outFeatures * (inFeatures + 1));
  for (let row = 0; row < outFeatures; row++) {
    matrix.set(vector.kernel.subarray(row * inFeatures, (row + 1) * inFeatures), row * (inFeatures + 1));
    matrix[row * (inFeatures + 1) + inFeatures] = vector.bias[row];
  }
  return matrix;
}

function relativeError(actual, expected) {
  let difference = 0;
  let norm = 0;
  for (let i = 0; i < expected.length; i++) {
    difference += (actual[i] - expected[i]) ** 2;
    norm += expected[i] ** 2;
  }
  return Math.sqrt(difference / norm);
}

/**
 * For each damping of the case: how far apply and the fifth iterate of CG in Gram space are from the float64 results.
 */
module.exports = async function solveGolden({ FisherOperator, ConjugateGradient }, directory, name) {
  const golden = JSON.parse(readFileSync(join(directory, `${name}.json`), 'utf8'));
  const bytes = readFileSync(join(directory, `${name}.bin`));
  const array = (key) => {
    const { dtype, shape, offset } = golden.arrays.find((entry) => entry.name === key);
    const Type = { float32: Float32Array, float64: Float64Array }[dtype];
    const length = shape.reduce((product, size) => product * size, 1);
    return new Type(
      bytes.buffer.slice(bytes.byteOffset + offset, bytes.byteOffset + offset + length * Type.BYTES_PER_ELEMENT),
    );
  };

  const { batch, fisherRows, inFeatures, outFeatures, bias } = golden;
  const v = vectorOf(array('v'), golden);
  const results = [];
  for (const [i, damping] of golden.dampings.entries()) {
    const operator = new FisherOperator({
      inputs: array('inputs'),
      outputGrads: array('outputGrads'),
      batch,
      fisherRows,
      inFeatures,
      outFeatures,
      bias,
      damping,
      lossReduction: 'sum',
    });
    const solver = new ConjugateGradient({ maxIterations: 5, tolerance: 0, space: 'gram' });
    const applied = operator.applySync(v);
    const summary = solver.solveSync(operator, v);
    const later = await solver.solve(operator, v);
    results.push({
      damping,
      goldenResidual: array(`residuals@${i}`)[4],
      applyError: relativeError(matrixOf(applied, golden), array(`apply@${i}`)),
      solveError: relativeError(matrixOf(summary.x, golden), array(`cg_5@${i}`)),
      asyncError: relativeError(matrixOf(later.x, golden), array(`cg_5@${i}`)),
      reason: summary.reason,
      space: summary.space,
    });
  }
  return results;
};
