/** Embeddings: tables of which rows are gathered by their ids. */
import type { TapeNode } from '../tape/tape';
import type { LayerKind, Registration, Site, View } from './layer-kind';
import { sizeOf } from './windows';

const KERNEL = 'GatherV2';

/** Made apart from the site: a function keeps all that was in reach where it was made. */
function registrationOf(inputDim: number, outputDim: number): Registration {
  return (preconditioner, name, place) => {
    preconditioner.registerEmbedding(name, { inputDim, outputDim, ...place });
  };
}

function siteAt(node: TapeNode, name: string, { shape, transposed }: View): Site | undefined {
  if (node.kernel !== KERNEL || name !== 'x' || transposed) return undefined;
  const { axis = 0, batchDims = 0 } = node.attributes;
  const [, ids] = node.saved;
  const indices = node.inputs.get('indices');
  const [inputDim = 0] = shape;
  if (axis !== 0 || batchDims !== 0 || !ids || !indices || shape.length < 2) return undefined;
  const outputDim = sizeOf(shape.slice(1));
  return {
    node,
    rows: ids.size,
    inFeatures: inputDim,
    outFeatures: outputDim,
    kernelLayout: 'in-out',
    form: KERNEL,
    given: true,
    data: indices,
    takesFewerRows: false,
    plainGrads: true,
    reshapesData: false,
    bias: { is: 'unknown' },
    readInputs: () => Int32Array.from(ids.dataSync()),
    readOutputGrads: (outputGradient, read) => read(outputGradient),
    registration: () => registrationOf(inputDim, outputDim),
  };
}

/** Embeddings, by the op that gathers rows of a table. */
export const embedding: LayerKind = { fusedKernels: [], gradientsFor: () => undefined, siteAt };
