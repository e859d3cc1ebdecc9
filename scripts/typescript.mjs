/** Loads TypeScript files of the checkout without checking types, which may follow from what they say. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

const load = createRequire(import.meta.url);
const { transformSync } = load('@swc/core');
load.extensions['.ts'] = (module, filename) => {
  const jsc = { parser: { syntax: 'typescript' }, target: 'es2022' };
  const { code } = transformSync(readFileSync(filename, 'utf8'), { filename, jsc, module: { type: 'commonjs' } });
  module._compile(code, filename);
};

/** What a file, named from the root of the checkout, exports. */
export const exportsOf = (name) => load(fileURLToPath(new URL(`../${name}`, import.meta.url)));
