// node bundle-vite.mjs PATH-OF-VITE OUTPUT external|inside: builds works.mjs for the server.
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';

const [path, output, kind] = process.argv.slice(2);
const { build } = await import(pathToFileURL(join(path, 'dist/node/index.js')));
await build({
  root: process.cwd(),
  configFile: false,
  logLevel: 'error',
  // vite leaves packages of node_modules external by default
  ssr: kind === 'external' ? {} : { noExternal: true },
  build: {
    ssr: 'works.mjs',
    outDir: dirname(output),
    emptyOutDir: false,
    minify: false,
    rollupOptions: { output: { entryFileNames: 'server.mjs' } },
  },
});
