// One step of a layer over typed arrays: the second program of the README.
import { Preconditioner } from 'cgfac';

// 'sum': the gradients are those of each sample's own loss; 'mean': they carry 1/batch
const preconditioner = new Preconditioner({ lossReduction: 'sum' });
const weights = { kernel: Float32Array.of(0.1, -0.2, 0.3, 0.2, 0, -0.1), bias: new Float32Array(2) };
// by default with a bias, and the kernel outFeatures × inFeatures
preconditioner.registerDense('output', { inFeatures: 3, outFeatures: 2, weights });

// each step: the layer's inputs and the gradients of each sample's loss with respect to its pre-activations, in rows
preconditioner.record('output', {
  inputs: Float32Array.of(1, 0, 2, 0, 1, 1), // batch × inFeatures
  lossGrads: Float32Array.of(0.6, -0.6, -0.4, 0.4), // batch × outFeatures
  batch: 2,
});
// where preconditioner.refreshDue: the same for targets sampled from the model's own output distribution
preconditioner.recordFisher('output', { outputGrads: Float32Array.of(0.6, -0.6, 0.6, -0.6), batch: 2 });
// updates the weights in place; the loss is the mean over the samples
const { summary } = preconditioner.naturalGradientsSync({ loss: 0.7 });
console.log(summary.stepSize, summary.innerProduct, summary.layers, summary.diagnoses);
