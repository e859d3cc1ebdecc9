/** Depthwise convolutions over images, of which the kernel is trained: plain ops, and those fused with a bias. */
import { getGradient, slice, type Tensor } from '@tensorflow/tfjs-core';
import { noGradient } from '../tape/errors';
import type { InputGradients, TapeNode } from '../tape/tape';
import type { LayerKind, Registration, Site, View } from './layer-kind';
import { sampleSize, windowsOf } from './windows';

const PLAIN = 'DepthwiseConv2dNative';
const FUSED = 'FusedDepthwiseConv2D';

/** The names of an op's data and kernel. */
const operandsOf = (kernel: string) => (kernel === FUSED ? (['0', '1'] as const) : (['x', 'filter'] as const));

/** What an op has saved: its data and its kernel. */
function savedOf({ kernel, saved: [first, second] }: TapeNode) {
  const [data, filter] = kernel === FUSED ? [second, first] : [first, second];
  return data && filter ? { data, filter } : undefined;
}

function gradientsFor(node: TapeNode, outputGradient: Tensor, wanted: readonly string[]): InputGradients | undefined {
  if (node.kernel !== PLAIN && node.kernel !== FUSED) return undefined;
  const [data] = operandsOf(node.kernel);
  const saved = savedOf(node);
  if (wanted.length !== 1 || wanted[0] !== data || !saved) return undefined;
  const gradients = getGradient(PLAIN)?.gradFunc;
  if (!gradients) return undefined;
  return {
    [data]: () => {
      // which looks at the shape of the data alone: of as many samples as there are gradients
      const [samples = 1] = outputGradient.shape;
      const some = slice(saved.data, [0, 0, 0, 0], [samples, ...saved.data.shape.slice(1)]);
      const made = gradients(outputGradient, [some, saved.filter], node.attributes as never) as InputGradients;
      if (!made.x) throw noGradient(PLAIN);
      return made.x();
    },
  };
}

/** Made apart from the site: a function keeps all that was in reach where it was made. */
function registrationOf(
  options: Parameters<Parameters<Registration>[0]['registerDepthwiseConv2d']>[1],
): (bias: boolean) => Registration {
  return (bias) => (preconditioner, name, place) => {
    preconditioner.registerDepthwiseConv2d(name, { ...options, bias, ...place });
  };
}

function siteAt(node: TapeNode, name: string, { shape }: View): Site | undefined {
  if (node.kernel !== PLAIN && node.kernel !== FUSED) return undefined;
  const [data, kernel] = operandsOf(node.kernel);
  const { activation = 'linear' } = node.attributes;
  const input = node.inputs.get(data);
  const [output] = node.outputs;
  const saved = savedOf(node);
  if (name !== kernel || activation !== 'linear' || !input || !output || !saved) return undefined;
  const windows = windowsOf(node, shape, 2, saved.data.shape, output.shape);
  if (!windows) return undefined;
  const [channels = 0, depthMultiplier = 0] = shape.slice(2);
  const options = { ...windows, inputShape: saved.data.shape.slice(1), depthMultiplier };
  return {
    node,
    rows: saved.data.shape[0] ?? 1,
    inFeatures: windows.kernelSize.reduce((product, extent) => product * extent, 1),
    outFeatures: channels * depthMultiplier,
    gradWidth: sampleSize(output),
    kernelLayout: 'in-out',
    form: JSON.stringify(options),
    given: true,
    data: input,
    takesFewerRows: true,
    plainGrads: true,
    reshapesData: false,
    bias: node.inputs.has('2') ? { is: 'input', name: '2' } : { is: 'addition' },
    readInputs: (read) => read(saved.data),
    readOutputGrads: (outputGradient, read) => read(outputGradient),
    resize: (preconditioner, layer) => preconditioner.resize(layer, { inputShape: options.inputShape }),
    registration: registrationOf(options),
  };
}

/** Depthwise convolutions, by the ops that TensorFlow.js has for them. */
export const depthwiseConvolution: LayerKind = { fusedKernels: [FUSED], gradientsFor, siteAt };
