// node bundle-webpack.mjs PATH-OF-WEBPACK OUTPUT external|inside: bundles works.mjs.
import { createRequire } from 'node:module';
import { dirname } from 'node:path';

const [path, output, kind] = process.argv.slice(2);
const webpack = createRequire(import.meta.url)(path);
const compiler = webpack({
  mode: 'development',
  devtool: false,
  target: 'node20',
  context: process.cwd(),
  entry: './works.mjs',
  experiments: { outputModule: true },
  output: { path: dirname(output), filename: 'server.mjs', module: true, library: { type: 'module' } },
  externals: kind === 'external' ? { cgfac: 'module cgfac' } : {},
});
compiler.run((error, stats) => {
  if (error) throw error;
  if (stats.hasErrors()) throw new Error(stats.toString({ all: false, errors: true }));
});
