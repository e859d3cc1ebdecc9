/** Networks by their layers alone, at the size that papers train and smaller. */
import type { Preconditioner } from 'cgfac';

/** A layer as it is registered, and what it records. */
export interface NetworkLayer {
  readonly name: string;
  readonly register: (preconditioner: Preconditioner) => void;
  /** Rows of a sample, where it has several and they are not known. */
  readonly rows: number;
  /** Numbers of a sample's inputs and output gradients. */
  readonly inputs: number;
  readonly outputs: number;
  /** Dimensions of both factors: d_in and d_out. */
  readonly dimensions: readonly [number, number];
}

/** A network, and the samples of each rank. */
export interface VolumeNetwork {
  readonly name: string;
  readonly batch: number;
  readonly layers: readonly NetworkLayer[];
}

function dense(name: string, inFeatures: number, outFeatures: number, rows = 1, bias = true): NetworkLayer {
  return {
    name,
    register: (preconditioner) => {
      preconditioner.registerDense(name, { inFeatures, outFeatures, bias });
    },
    rows,
    inputs: rows * inFeatures,
    outputs: rows * outFeatures,
    dimensions: [inFeatures + (bias ? 1 : 0), outFeatures],
  };
}

function convolution(name: string, size: number, channels: number, filters: number, kernel: number, stride = 1) {
  const out = Math.ceil(size / stride);
  const layer: NetworkLayer = {
    name,
    register: (preconditioner) => {
      preconditioner.registerConv2d(name, {
        inputShape: [size, size, channels],
        kernelSize: [kernel, kernel],
        strides: [stride, stride],
        padding: 'same',
        filters,
        bias: false,
      });
    },
    rows: 1,
    inputs: size * size * channels,
    outputs: out * out * filters,
    dimensions: [kernel * kernel * channels, filters],
  };
  return layer;
}

/** A ResNet-50 (K. He et al., 2016), its normalisations apart, of images of `size`² and a first width. */
export function residual(width: number, size: number, batch: number): VolumeNetwork {
  const layers = [convolution('stem', size, 3, width, 7, 2)];
  let [extent, channels] = [size / 4, width];
  for (const [stage, blocks] of [3, 4, 6, 3].entries()) {
    const inner = width * 2 ** stage;
    for (let block = 0; block < blocks; block++) {
      const stride = block === 0 && stage > 0 ? 2 : 1;
      const name = `stage ${stage}, block ${block}`;
      if (block === 0) layers.push(convolution(`${name}, shortcut`, extent, channels, 4 * inner, 1, stride));
      layers.push(
        convolution(`${name}, first`, extent, channels, inner, 1),
        convolution(`${name}, second`, extent, inner, inner, 3, stride),
      );
      extent = Math.ceil(extent / stride);
      layers.push(convolution(`${name}, third`, extent, inner, 4 * inner, 1));
      channels = 4 * inner;
    }
  }
  return { name: 'ResNet-50', batch, layers: [...layers, dense('classes', channels, 1000)] };
}

/** The layers of a BERT (J. Devlin et al., 2019), tables and normalisations apart. */
export function transformer(width: number, depth: number, tokens: number, batch: number): VolumeNetwork {
  const layers = Array.from({ length: depth }, (_, index) => [
    ...['query', 'key', 'value', 'output'].map((name) => dense(`${index} ${name}`, width, width, tokens)),
    dense(`${index} up`, width, 4 * width, tokens),
    dense(`${index} down`, 4 * width, width, tokens),
  ]);
  return { name: 'BERT-large', batch, layers: layers.flat() };
}

function chain(name: string, widths: readonly number[], batch: number): VolumeNetwork {
  const layers = widths.slice(1).map((width, index) => dense(`layer ${index}`, widths[index] ?? 0, width));
  return { name, batch, layers };
}

/** Three layers of one width. */
export const wide = (width: number, batch: number): VolumeNetwork =>
  chain('MLP 3×4096', [1000, width, width, width], batch);

/** The deep autoencoder of the results. */
export const autoencoder = (batch: number): VolumeNetwork =>
  chain('autoencoder', [784, 1000, 500, 250, 30, 250, 500, 1000, 784], batch);

/** A classifier of texts: a table, an LSTM's two kernels, and an output. */
export function text(words: number, units: number, steps: number, batch: number): VolumeNetwork {
  const width = units / 2;
  const table: NetworkLayer = {
    name: 'table',
    register: (preconditioner) => {
      preconditioner.registerEmbedding('table', { inputDim: words, outputDim: width });
    },
    rows: steps,
    inputs: steps,
    outputs: steps * width,
    dimensions: [words, width],
  };
  const layers = [
    table,
    dense('kernel', width, 4 * units, steps),
    dense('recurrent kernel', units, 4 * units, steps, false),
    dense('output', units, 1),
  ];
  return { name: 'LSTM text', batch, layers };
}

/** The five networks as they are trained. */
export const networks: readonly VolumeNetwork[] = [
  residual(64, 224, 32),
  transformer(1024, 24, 128, 8),
  wide(4096, 32),
  autoencoder(64),
  text(20000, 256, 100, 32),
];

/** The five networks in small, for runs that are measured. */
export const smallNetworks: readonly VolumeNetwork[] = [
  residual(8, 32, 2),
  transformer(64, 2, 8, 4),
  wide(256, 8),
  autoencoder(8),
  text(500, 64, 6, 4),
];
