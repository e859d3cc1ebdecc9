/** Scales and shifts of normalisations, by batch or by layer: y = γ x̂ + β for each channel. */
import { add, mul, reshape, rsqrt, sub, type Tensor } from '@tensorflow/tfjs-core';
import type { Reader } from '../tape/numbers';
import type { TapeNode } from '../tape/tape';
import type { LayerKind, Registration, Site, View } from './layer-kind';

/** x̂ = (x − mean)/√(variance + ε), γ its input 'scale' and β 'offset'. */
const KERNEL = 'FusedBatchNorm';

/** Made apart from the site: a function keeps all that was in reach where it was made. */
function registrationOf(features: number): Registration {
  return (preconditioner, name, place) => {
    preconditioner.registerScaleShift(name, { features, ...place });
  };
}

/** The first axis that is not of length 1: matrices are normalised as images of one row. */
const samplesOf = ({ shape }: Tensor) => shape.slice(0, -1).find((length) => length > 1) ?? 1;

/** What sites have in common whatever op scales. */
const common = (node: TapeNode, x: Tensor, features: number) => ({
  node,
  rows: x.size / features,
  inFeatures: 1,
  outFeatures: features,
  kernelLayout: 'in-out' as const,
  form: node.kernel,
  given: true as const,
  takesTiled: true as const,
  needsBias: true as const,
  takesFewerRows: false,
  plainGrads: true,
  readOutputGrads: (outputGradient: Tensor, read: Reader) => read(outputGradient),
  registration: () => registrationOf(features),
});

/** The op that normalises and scales at once. */
function fusedSite(node: TapeNode, name: string, { shape }: View): Site | undefined {
  const [x, mean, variance] = node.saved;
  const input = node.inputs.get('x');
  const epsilon = node.attributes.varianceEpsilon;
  const features = shape.at(-1) ?? 0;
  if (name !== 'scale' || !x || !mean || !variance || !input) return undefined;
  if (typeof epsilon !== 'number' || x.shape.at(-1) !== features || !node.inputs.has('offset')) return undefined;
  const inputs = () => mul(sub(x, mean), rsqrt(add(variance, epsilon)));
  return {
    ...common(node, x, features),
    data: input,
    reshapesData: true,
    samples: samplesOf(x),
    bias: { is: 'input', name: 'offset' },
    readInputs: (read) => read(reshape(inputs(), [-1])),
  };
}

/** Rows times a vector of several numbers, as a normalisation that is written out scales. */
function productSite(node: TapeNode, name: string, { shape, transposed }: View): Site | undefined {
  const data = node.inputs.get(name === 'a' ? 'b' : 'a');
  const features = shape.at(-1) ?? 0;
  const isRow = !transposed && features > 1 && shape.slice(0, -1).every((length) => length === 1);
  const x = node.saved[name === 'a' ? 1 : 0];
  if (!isRow || !data || !x || data.size !== node.outputs[0]?.size || data.shape.at(-1) !== features) return undefined;
  if (data.size === features) return undefined;
  return {
    ...common(node, x, features),
    data,
    reshapesData: false,
    bias: { is: 'addition' },
    readInputs: (read) => read(reshape(x, [-1])),
  };
}

function siteAt(node: TapeNode, name: string, view: View): Site | undefined {
  if (node.kernel === KERNEL) return fusedSite(node, name, view);
  return node.kernel === 'Multiply' ? productSite(node, name, view) : undefined;
}

/** Scales and shifts, by the op that normalises, or by a product and a sum. */
export const scaleShift: LayerKind = { fusedKernels: [], gradientsFor: () => undefined, siteAt };
