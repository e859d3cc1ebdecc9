import * as tfl from '@tensorflow/tfjs-layers';
import { PIXELS } from '../../datasets/pictures';

/** The standard deep autoencoder, or a smaller one. */
export type NetworkName = 'deep' | 'small';

/**
 * The widths of the layers, the code in the middle: of the standard deep autoencoder, and of one that trains in
 * seconds.
 */
const WIDTHS: Record<NetworkName, readonly number[]> = {
  deep: [1000, 500, 250, 30, 250, 500, 1000, PIXELS],
  small: [256, 64, 16, 64, 256, PIXELS],
};

/** The widths of a network's layers, as in 784-1000-…-784. */
export function networkShape(network: NetworkName): string {
  return [PIXELS, ...WIDTHS[network]].join('-');
}

/**
 * An autoencoder: tanh, a linear code layer, sigmoid output; Glorot's uniform weights, which depend on the seed alone.
 */
export function createModel(network: NetworkName, seed: number): tfl.Sequential {
  const widths = WIDTHS[network];
  const last = widths.length - 1;
  const code = (last - 1) / 2;
  const model = tfl.sequential();
  widths.forEach((units, i) => {
    model.add(
      tfl.layers.dense({
        units,
        activation: i === last ? 'sigmoid' : i === code ? 'linear' : 'tanh',
        kernelInitializer: tfl.initializers.glorotUniform({ seed: seed * widths.length + i }),
        ...(i === 0 ? { inputShape: [PIXELS] } : {}),
      }),
    );
  });
  return model;
}
