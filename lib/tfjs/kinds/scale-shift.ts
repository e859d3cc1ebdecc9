/** Scales and shifts of normalisations, by batch or by layer: y = γ x̂ + β for each channel. */
import { add, mul, reshape, rsqrt, sub, type Tensor } from '@tensorflow/tfjs-core';
import type { TapeNode } from '../tape/tape';
import type { LayerKind, Registration, Site, View } from './layer-kind';
import { read } from './windows';

/** x̂ = (x − mean)/√(variance + ε), γ its input 'scale' and β 'offset'. */
const KERNEL = 'FusedBatchNorm';

/** Made apart from the site: a function keeps all that was in reach where it was made. */
function registrationOf(features: number): Registration {
  return (preconditioner, name, { recurrent, output }) => {
    preconditioner.registerScaleShift(name, { features, recurrent, output });
  };
}

/** The first axis that is not of length 1: matrices are normalised as images of one row. */
const samplesOf = ({ shape }: Tensor) => shape.slice(0, -1).find((length) => length > 1) ?? 1;

function siteAt(node: TapeNode, name: string, { shape }: View): Site | undefined {
  const [x, mean, variance] = node.saved;
  const input = node.inputs.get('x');
  const epsilon = node.attributes.varianceEpsilon;
  const features = shape.at(-1) ?? 0;
  if (node.kernel !== KERNEL || name !== 'scale' || !x || !mean || !variance || !input) return undefined;
  if (typeof epsilon !== 'number' || x.shape.at(-1) !== features || !node.inputs.has('offset')) return undefined;
  const inputs = () => mul(sub(x, mean), rsqrt(add(variance, epsilon)));
  return {
    node,
    rows: x.size / features,
    inFeatures: 1,
    outFeatures: features,
    kernelLayout: 'in-out',
    form: KERNEL,
    given: true,
    takesTiled: true,
    needsBias: true,
    data: input,
    takesFewerRows: false,
    reshapesData: true,
    samples: samplesOf(x),
    bias: { is: 'input', name: 'offset' },
    readInputs: () => read(reshape(inputs(), [-1])),
    readOutputGrads: read,
    registration: () => registrationOf(features),
  };
}

/** Scales and shifts, by the op that normalises. */
export const scaleShift: LayerKind = { fusedKernels: [], gradientsFor: () => undefined, siteAt };
