import { dirname } from 'node:path';
import { setWasmPaths } from '@tensorflow/tfjs-backend-wasm';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { cgfac } from 'cgfac/tfjs';
import { loadDigits, PIXELS } from './digits';
async function main() {
  setWasmPaths(`${dirname(require.resolve('@tensorflow/tfjs-backend-wasm/package.json'))}/dist/`);
  await tf.setBackend('wasm');
  const [,, name = 'cgfac', steps = '25', seed = '1', opts = '{}', kernels='1'] = process.argv;
  const digits = loadDigits();
  const m: any = require('cgfac/tfjs'); if (kernels==='1' && m.installKernels) m.installKernels(tf);
  const widths = [1000, 500, 250, 30, 250, 500, 1000, 784];
  const model = tfl.sequential();
  widths.forEach((units, i) => model.add(tfl.layers.dense({ units, activation: i === 7 ? 'sigmoid' : i === 3 ? 'linear' : 'tanh', kernelInitializer: (tfl.initializers as any).varianceScaling({ scale: Number(process.env.SC ?? 1/3), mode: (process.env.MODE ?? 'fanIn') as any, distribution: 'uniform', seed: Number(seed) * 8 + i }), ...(i === 0 ? { inputShape: [PIXELS] } : {}) })));
  const opt: any = name === 'adam' ? tf.train.adam(0.001) : cgfac({ seed: Number(seed), ...JSON.parse(opts) });
  model.compile({ optimizer: opt, loss: 'binaryCrossentropy' });
  const ev = tf.tensor2d(digits.pixels.subarray(0, 8960 * PIXELS), [8960, PIXELS]);
  const ho = tf.tensor2d(digits.pixels.subarray(8960 * PIXELS, 9960 * PIXELS), [1000, PIXELS]);
  let ms = 0; const each: number[] = [];
  for (let s = 1; s <= Number(steps); s++) {
    const first = ((s - 1) % 35) * 256 * PIXELS;
    const b = tf.tensor2d(digits.pixels.subarray(first, first + 256 * PIXELS), [256, PIXELS]);
    const t = performance.now(); const l = await model.trainOnBatch(b, b); const d = performance.now() - t; ms += d; each.push(d); b.dispose();
    if (process.env.W) console.log(s, Number(l) * 784, opt.lastStep?.summary?.stepSize, opt.lastStep?.summary?.innerProduct, opt.lastStep?.summary?.lossFloor*784);
    if (s % 10 === 0 || s === 25) {
      const e = async (x: tf.Tensor) => { const r = model.evaluate(x, x, { batchSize: 2000 }) as tf.Scalar; const v = (await r.data())[0]! * 784; r.dispose(); return v; };
      let out = `${s}: train ${(await e(ev)).toFixed(2)} held ${(await e(ho)).toFixed(2)}`;
      if (opt.withAveragedWeights && JSON.parse(opts).method !== 'cg') out += await opt.withAveragedWeights(async () => ` avg ${(await e(ev)).toFixed(2)} ${(await e(ho)).toFixed(2)}`);
      const sum = opt.lastStep?.summary;
      console.log(out, `${(ms / s).toFixed(0)} ms/step; median ${each.slice().sort((a,b)=>a-b)[each.length>>1]!.toFixed(0)} tensors ${tf.memory().numTensors} eta ${sum?.stepSize?.toFixed(4)} pre ms ${(sum?.layers?.reduce((a: number, x: any) => a + x.microseconds, 0) / 1000).toFixed(0)}`);
    }
  }
  if (process.env.V) console.log(JSON.stringify(opt.lastStep?.summary, null, 1), opt.report?.(), opt.memoryUsage?.());
}
main();
