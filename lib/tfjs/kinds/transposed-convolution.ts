/**
 * Transposed convolutions over images, of which the kernel is trained. A row of inputs is a sample, and a row of output
 * gradients all of what comes out.
 */
import { conv2d, type Tensor } from '@tensorflow/tfjs-core';
import type { InputGradients, TapeNode } from '../tape/tape';
import type { LayerKind, Registration, Site, View } from './layer-kind';
import { sampleSize, windowsOf } from './windows';

/** The gradient of a convolution for its data, which a transposed one is: inputs 'dy', the data, and 'filter'. */
const KERNEL = 'Conv2DBackpropInput';

function gradientsFor(node: TapeNode, outputGradient: Tensor, wanted: readonly string[]): InputGradients | undefined {
  if (node.kernel !== KERNEL || wanted.length !== 1 || wanted[0] !== 'dy') return undefined;
  const [, filter] = node.saved;
  const { strides, pad, dataFormat, dimRoundingMode } = node.attributes as {
    readonly strides: [number, number] | number;
    readonly pad: 'valid' | 'same' | number;
    readonly dataFormat?: 'NHWC' | 'NCHW';
    readonly dimRoundingMode?: 'floor' | 'round' | 'ceil';
  };
  if (!filter || dataFormat === 'NCHW') return undefined;
  const gradient = () =>
    conv2d(outputGradient as never, filter as never, strides, pad, 'NHWC', 1, dimRoundingMode) as Tensor;
  return { dy: gradient };
}

/** Made apart from the site: a function keeps all that was in reach where it was made. */
function registrationOf(options: Parameters<Parameters<Registration>[0]['registerConv2dTranspose']>[1]): Registration {
  return (preconditioner, name, place) => {
    preconditioner.registerConv2dTranspose(name, { ...options, ...place });
  };
}

function siteAt(node: TapeNode, name: string, { shape }: View): Site | undefined {
  if (node.kernel !== KERNEL || name !== 'filter') return undefined;
  const [output] = node.outputs;
  const [data] = node.saved;
  const input = node.inputs.get('dy');
  if (!output || !data || !input) return undefined;
  const windows = windowsOf(node, shape, 2, output.shape, data.shape);
  if (!windows) return undefined;
  const [filters = 0, channels = 0] = shape.slice(2);
  const options = {
    ...windows,
    inputShape: data.shape.slice(1),
    outputShape: output.shape.slice(1, 3),
    filters,
  };
  return {
    node,
    rows: data.shape[0] ?? 1,
    inFeatures: channels,
    outFeatures: windows.kernelSize.reduce((product, extent) => product * extent, filters),
    gradWidth: sampleSize(output),
    kernelLayout: 'out-in',
    form: JSON.stringify(options),
    given: true,
    data: input,
    takesFewerRows: true,
    plainGrads: true,
    reshapesData: false,
    bias: { is: 'unknown' },
    readInputs: (read) => read(data),
    readOutputGrads: (outputGradient, read) => read(outputGradient),
    resize: (preconditioner, layer) =>
      preconditioner.resize(layer, { inputShape: options.inputShape, outputShape: options.outputShape }),
    registration: () => registrationOf(options),
  };
}

/** Transposed convolutions, by the op that TensorFlow.js has for them. */
export const transposedConvolution: LayerKind = { fusedKernels: [], gradientsFor, siteAt };
