import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

// The README's programs run as they stand, as files of this package, which name it as a user's would.
const root = resolve(__dirname, '../..');
const snippets = [...readFileSync(join(root, 'README.md'), 'utf8').matchAll(/^```js\n(.*?)^```/gms)].map(
  ([, code = '']) => code,
);

/** What the README takes for granted around a snippet. */
const before: Record<string, string> = {
  'cgfac/tfjs': '',
  cgfac: '',
};
const after: Record<string, string> = {
  'cgfac/tfjs': `const loss = model.evaluate(inputs, targets).dataSync()[0];
    console.log(loss < 0.75, optimizer.iterations);`,
  cgfac: '',
};

function run(code: string) {
  mkdirSync(join(root, 'build'), { recursive: true });
  const directory = mkdtempSync(join(root, 'build', 'readme-'));
  try {
    const file = join(directory, 'snippet.mjs');
    writeFileSync(file, code);
    const { status, stdout, stderr } = spawnSync(process.execPath, [file], { encoding: 'utf8', timeout: 25_000 });
    return { status, stdout, stderr };
  } finally {
    rmSync(directory, { recursive: true });
  }
}

const snippetOf = (entry: string, name: string, first = before[entry] ?? '', then = after[entry] ?? '') => {
  const found = snippets.filter((code) => code.includes(`import { ${name} } from '${entry}'`));
  if (found.length !== 1) throw new Error(`${found.length} snippets of the README import ${name} from ${entry}`);
  return `${first}\n${found[0] ?? ''}\n${then}`;
};

test('the snippet with TensorFlow.js trains', () => {
  expect(run(snippetOf('cgfac/tfjs', 'cgfac'))).toEqual({ status: 0, stdout: 'true 6\n', stderr: '' });
});

test('the snippet with a preconditioner updates the weights', () => {
  const { status, stdout, stderr } = run(
    snippetOf('cgfac', 'Preconditioner', '', 'console.log(weights.kernel[0] < 0.1);'),
  );
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  expect(stdout.endsWith('true\n')).toBe(true);
});

test('the snippet with native products installs and uninstalls them', () => {
  const first = `import * as tf from '@tensorflow/tfjs-core';`;
  const code = snippetOf('cgfac/tfjs', 'installKernels', first, 'console.log(tf.getBackend(), kernels.installed);');
  expect(run(code)).toEqual({ status: 0, stdout: 'wasm false\n', stderr: '' });
});

test('the snippet with typed arrays solves', () => {
  const { status, stdout, stderr } = run(snippetOf('cgfac', 'LayerPreconditioner'));
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  expect(stdout).toMatch(
    /Float32Array\(6\).*Float32Array\(2\).*iterations: \d+, *residual: [\d.e-]+, *reason: 'converged'/s,
  );
});
