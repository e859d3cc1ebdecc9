/** Layers of every kind but the dense one: how each is registered, and rows of a batch, other ones for each seed. */
import type { Preconditioner, RecordedBatchRows, WeightVector } from 'cgfac';
import { randomNumbers } from './layers';

/** What a layer may be registered with besides its shape. */
type More = { readonly weights?: WeightVector; readonly maxRows?: number };

/** A layer of a kind. */
export interface KindLayer {
  readonly name: string;
  register(preconditioner: Preconditioner, more?: More): void;
  /** Numbers of its kernel, and of its bias where it has one. */
  readonly kernel: number;
  readonly bias?: number;
  /** Numbers of a sample's rows, of either side. */
  readonly inputs: number;
  readonly outputs: number;
  /** Ids are below this; of kinds that take numbers none. */
  readonly ids?: number;
  /** What a sample's inputs become by a kernel and a bias, in float64, where a test compares with it. */
  output?(inputs: ArrayLike<number>, kernel: ArrayLike<number>, bias: ArrayLike<number> | undefined): Float64Array;
}

/** What the convolution below is. */
const image = { inputShape: [5, 4, 2], kernelSize: [3, 2], strides: [2, 1], padding: 'same' } as const;

/** The extents that it is made of: data, kernel, output, and the zeros before the data. */
export const [H, W, C, KH, KW, OH, OW, TOP] = [5, 4, 2, 3, 2, 3, 4, 1];

/** Calls `body` for each tap of each window that lies on the data: place of the data, tap, and window. */
export function eachTap(body: (place: number, tap: number, window: number) => void): void {
  for (let y = 0; y < OH; y++)
    for (let x = 0; x < OW; x++)
      for (let i = 0; i < KH; i++)
        for (let j = 0; j < KW; j++) {
          const [row, column] = [2 * y + i - TOP, x + j];
          if (row >= 0 && row < H && column < W) body(row * W + column, i * KW + j, y * OW + x);
        }
}

/** Outputs of the convolutions. */
export const filters = 3;

/** A convolution as a loop over its taps. */
const convolved: KindLayer['output'] = (inputs, kernel, bias) => {
  const z = Float64Array.from({ length: OH * OW * filters }, (_, at) => bias?.[at % filters] ?? 0);
  eachTap((place, tap, window) => {
    for (let c = 0; c < C; c++)
      for (let m = 0; m < filters; m++) {
        const product = (inputs[place * C + c] ?? 0) * (kernel[(tap * C + c) * filters + m] ?? 0);
        z[window * filters + m] = (z[window * filters + m] ?? 0) + product;
      }
  });
  return z;
};

/** A depthwise convolution as a loop over its taps, two outputs of each channel. */
const convolvedByChannel: KindLayer['output'] = (inputs, kernel, bias) => {
  const outputs = 2 * C;
  const z = Float64Array.from({ length: OH * OW * outputs }, (_, at) => bias?.[at % outputs] ?? 0);
  eachTap((place, tap, window) => {
    for (let o = 0; o < outputs; o++) {
      const product = (inputs[place * C + Math.floor(o / 2)] ?? 0) * (kernel[tap * outputs + o] ?? 0);
      z[window * outputs + o] = (z[window * outputs + o] ?? 0) + product;
    }
  });
  return z;
};

/** A transposed convolution, whose windows are over what comes out, as a loop over its taps. */
const convolvedBack: KindLayer['output'] = (inputs, kernel) => {
  const z = new Float64Array(H * W * C);
  eachTap((place, tap, window) => {
    for (let c = 0; c < C; c++)
      for (let m = 0; m < filters; m++) {
        const product = (inputs[window * filters + m] ?? 0) * (kernel[(tap * C + c) * filters + m] ?? 0);
        z[place * C + c] = (z[place * C + c] ?? 0) + product;
      }
  });
  return z;
};

/** Ids of a sample, and numbers of a row of its table. */
export const [IDS, WIDTH] = [4, 3];

/** Rows of a scale and shift of a sample, and its channels. */
export const [ROWS, CHANNELS] = [4, 5];

/** A layer of every kind. */
export const kindLayers: readonly KindLayer[] = [
  {
    name: 'conv2d',
    register: (preconditioner, more) => {
      preconditioner.registerConv2d('layer', { ...image, filters, ...more });
    },
    kernel: KH * KW * C * filters,
    bias: filters,
    inputs: H * W * C,
    outputs: OH * OW * filters,
    output: convolved,
  },
  {
    name: 'conv2d, reduced',
    register: (preconditioner, more) => {
      preconditioner.registerConv2d('layer', { ...image, filters, weightSharing: 'reduce', ...more });
    },
    kernel: KH * KW * C * filters,
    bias: filters,
    inputs: H * W * C,
    outputs: OH * OW * filters,
    output: convolved,
  },
  {
    name: 'conv3d',
    register: (preconditioner, more) => {
      const volume = { inputShape: [3, 4, 2, 2], kernelSize: [2, 3, 1] };
      preconditioner.registerConv3d('layer', { ...volume, filters: 2, bias: false, ...more });
    },
    kernel: 6 * 2 * 2,
    inputs: 48,
    outputs: 2 * 2 * 2 * 2,
  },
  {
    name: 'conv2dTranspose',
    register: (preconditioner, more) => {
      const { kernelSize, strides, padding } = image;
      const back = { inputShape: [OH, OW, filters], outputShape: [H, W], kernelSize, strides, padding };
      preconditioner.registerConv2dTranspose('layer', { ...back, filters: C, ...more });
    },
    kernel: KH * KW * C * filters,
    inputs: OH * OW * filters,
    outputs: H * W * C,
    output: convolvedBack,
  },
  {
    name: 'depthwiseConv2d',
    register: (preconditioner, more) => {
      preconditioner.registerDepthwiseConv2d('layer', { ...image, depthMultiplier: 2, ...more });
    },
    kernel: KH * KW * C * 2,
    bias: C * 2,
    inputs: H * W * C,
    outputs: OH * OW * C * 2,
    output: convolvedByChannel,
  },
  {
    name: 'embedding',
    register: (preconditioner, { maxRows: _, ...more } = {}) => {
      preconditioner.registerEmbedding('layer', { inputDim: 9, outputDim: WIDTH, ...more });
    },
    kernel: 9 * WIDTH,
    inputs: IDS,
    outputs: IDS * WIDTH,
    ids: 9,
    output: (ids, table) =>
      Float64Array.from({ length: IDS * WIDTH }, (_, at) => {
        return table[(ids[Math.floor(at / WIDTH)] ?? 0) * WIDTH + (at % WIDTH)] ?? 0;
      }),
  },
  {
    name: 'scaleShift',
    register: (preconditioner, { maxRows: _, ...more } = {}) => {
      preconditioner.registerScaleShift('layer', { features: CHANNELS, ...more });
    },
    kernel: CHANNELS,
    bias: CHANNELS,
    inputs: ROWS * CHANNELS,
    outputs: ROWS * CHANNELS,
    output: (rows, scale, shift) =>
      Float64Array.from(rows, (x, at) => x * (scale[at % CHANNELS] ?? 0) + (shift?.[at % CHANNELS] ?? 0)),
  },
];

/** Weights with a diagonal, of which gradients alone are recorded. */
export const diagonalLayer: KindLayer = {
  name: 'diagonal',
  register: (preconditioner, { maxRows: _, ...more } = {}) => {
    preconditioner.registerDiagonal('layer', { features: 7, ...more });
  },
  kernel: 7,
  inputs: 0,
  outputs: 7,
};

/** Rows of so many samples. */
export interface KindRows {
  readonly batch: number;
  readonly inputs: NonNullable<RecordedBatchRows['inputs']>;
  readonly lossGrads: Float32Array;
  readonly outputGrads: Float32Array;
}

/** Rows of a layer, other ones for each seed. */
export function kindRows({ inputs, outputs, ids }: KindLayer, seed: number, batch = 6): KindRows {
  const numbers = randomNumbers(batch * inputs, 7 * seed + 1);
  return {
    batch,
    inputs: ids === undefined ? numbers : Int32Array.from(numbers, (x) => Math.floor(((x + 1) / 2) * ids)),
    lossGrads: randomNumbers(batch * outputs, 7 * seed + 2),
    outputGrads: randomNumbers(batch * outputs, 7 * seed + 3),
  };
}

/** Has a layer record rows, those of the loss with them or not. */
export function recordKind(preconditioner: Preconditioner, rows: KindRows, own = true): void {
  const { batch, inputs, lossGrads, outputGrads } = rows;
  const given = inputs.length > 0 ? { inputs } : {};
  preconditioner.record('layer', { ...given, batch, ...(own ? { lossGrads } : {}) });
  preconditioner.recordFisher('layer', { outputGrads, batch });
}

/** A vector of a layer. */
export function kindVector({ kernel, bias }: KindLayer, seed: number): WeightVector {
  const numbers = randomNumbers(kernel, seed);
  return bias === undefined ? numbers : { kernel: numbers, bias: randomNumbers(bias, seed + 1) };
}
