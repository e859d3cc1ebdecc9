/**
 * Convolutions over images and volumes, of which the kernel is trained: plain ops, and those fused with a bias. Rows
 * are whole samples, which the core gathers patches of; the gradient of the kernel is the framework's.
 */
import { conv2dTranspose, reshape, type Tensor } from '@tensorflow/tfjs-core';
import type { InputGradients, TapeNode } from '../tape/tape';
import type { LayerKind, Registration, Site, View } from './layer-kind';
import { sampleSize, windowsOf } from './windows';

const PLAIN = 'Conv2D';
const FUSED = 'FusedConv2D';
const VOLUMES = 'Conv3D';

/** The names of an op's data and kernel. */
const operandsOf = (kernel: string) => (kernel === FUSED ? (['0', '1'] as const) : (['x', 'filter'] as const));

/** The gradient of the data alone, of as many samples as there are gradients. */
function dataGradient({ kernel, saved, attributes, inputs }: TapeNode, outputGradient: Tensor) {
  const [first, second] = saved;
  const [filter, data] = kernel === FUSED ? [first, second] : [second, first];
  const { strides, pad, dimRoundingMode } = attributes as {
    readonly strides: [number, number] | number;
    readonly pad: 'valid' | 'same' | number;
    readonly dimRoundingMode?: 'floor' | 'round' | 'ceil';
  };
  if (!filter || !data || !inputs.has(operandsOf(kernel)[0])) return undefined;
  return () => {
    const [samples = 1] = outputGradient.shape;
    const shape = [samples, ...data.shape.slice(1)] as [number, number, number, number];
    return conv2dTranspose(outputGradient as never, filter as never, shape, strides, pad, dimRoundingMode) as Tensor;
  };
}

function gradientsFor(node: TapeNode, outputGradient: Tensor, wanted: readonly string[]): InputGradients | undefined {
  if (node.kernel !== PLAIN && node.kernel !== FUSED) return undefined;
  const [data] = operandsOf(node.kernel);
  if (wanted.length !== 1 || wanted[0] !== data || node.attributes.dataFormat === 'NCHW') return undefined;
  const gradient = dataGradient(node, outputGradient);
  return gradient && { [data]: gradient };
}

/** Made apart from the site: a function keeps all that was in reach where it was made. */
function registrationOf(
  options: Parameters<Parameters<Registration>[0]['registerConv2d']>[1],
  volumes: boolean,
): (bias: boolean) => Registration {
  return (bias) => (preconditioner, name, place) => {
    const all = { ...options, bias, ...place };
    if (volumes) preconditioner.registerConv3d(name, all);
    else preconditioner.registerConv2d(name, all);
  };
}

function siteAt(node: TapeNode, name: string, { shape }: View): Site | undefined {
  const volumes = node.kernel === VOLUMES;
  if (node.kernel !== PLAIN && node.kernel !== FUSED && !volumes) return undefined;
  const [data, kernel] = operandsOf(node.kernel);
  const { activation = 'linear' } = node.attributes;
  const axes = volumes ? 3 : 2;
  const input = node.inputs.get(data);
  const [output] = node.outputs;
  const saved = node.saved[node.kernel === FUSED ? 1 : 0];
  if (name !== kernel || activation !== 'linear' || !input || !output || !saved) return undefined;
  const windows = windowsOf(node, shape, axes, saved.shape, output.shape);
  if (!windows) return undefined;
  const [channels = 0, filters = 0] = shape.slice(axes);
  const options = { ...windows, inputShape: saved.shape.slice(1), filters };
  return {
    node,
    rows: saved.shape[0] ?? 1,
    inFeatures: windows.kernelSize.reduce((product, extent) => product * extent, channels),
    outFeatures: filters,
    gradWidth: sampleSize(output),
    kernelLayout: 'in-out',
    form: JSON.stringify(options),
    given: true,
    data: input,
    takesFewerRows: !volumes,
    plainGrads: true,
    reshapesData: false,
    bias: node.inputs.has('2') ? { is: 'input', name: '2' } : { is: 'addition' },
    readInputs: (read) => read(saved),
    readOutputGrads: (outputGradient, read) => read(reshape(outputGradient, [-1])),
    resize: (preconditioner, layer) => preconditioner.resize(layer, { inputShape: options.inputShape }),
    registration: registrationOf(options, volumes),
  };
}

/** Convolutions, by the ops that TensorFlow.js has for them. */
export const convolution: LayerKind = { fusedKernels: [FUSED], gradientsFor, siteAt };
