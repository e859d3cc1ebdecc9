// node bundle-esbuild.mjs PATH-OF-ESBUILD OUTPUT external|inside: bundles works.cjs.
import { createRequire } from 'node:module';

const [path, outfile, kind] = process.argv.slice(2);
const { build } = createRequire(import.meta.url)(path);
const external = kind === 'external' ? ['cgfac'] : [];
await build({ entryPoints: ['works.cjs'], outfile, bundle: true, platform: 'node', external, logLevel: 'error' });
