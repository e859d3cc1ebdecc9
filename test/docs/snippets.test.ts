import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

// The programs of the documents run as they stand, as files of this package, which name it as a user's would.
const root = resolve(__dirname, '../..');
const documents = [
  'README.md',
  ...['guide', 'choosing', 'troubleshooting', 'guide-distributed', 'results', 'paper', 'performance'].map(
    (name) => `docs/${name}.md`,
  ),
];

interface Snippet {
  readonly document: string;
  readonly line: number;
  readonly code: string;
}

const snippets: Snippet[] = [...documents, 'docs/guide-distributed-training.md'].flatMap((document) => {
  const text = readFileSync(join(root, document), 'utf8');
  return [...text.matchAll(/^```js\n(.*?)^```/gms)].map(({ index, 1: code = '' }) => ({
    document,
    line: text.slice(0, index).split('\n').length,
    code,
  }));
});

function run(code: string) {
  mkdirSync(join(root, 'build'), { recursive: true });
  const directory = mkdtempSync(join(root, 'build', 'snippet-'));
  try {
    const file = join(directory, 'snippet.mjs');
    writeFileSync(file, code);
    const { status, stdout, stderr } = spawnSync(process.execPath, [file], { encoding: 'utf8', timeout: 25_000 });
    return { status, stdout, stderr };
  } finally {
    rmSync(directory, { recursive: true });
  }
}

test.each(snippets.map((snippet) => ({ ...snippet, name: `${snippet.document}:${snippet.line}` })))(
  'the program at $name runs and complains of nothing',
  ({ code }) => {
    const { status, stderr } = run(code);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  },
);

/** The one snippet of a document that imports what `named` says. */
const snippetOf = (document: string, named: string) => {
  const found = snippets.filter((each) => each.document === document && each.code.includes(`import { ${named} }`));
  if (found.length !== 1) throw new Error(`${found.length} snippets of ${document} import ${named}`);
  return found[0]?.code ?? '';
};

describe('what the programs do', () => {
  test('the one with TensorFlow.js trains', () => {
    const after = `const loss = model.evaluate(inputs, targets).dataSync()[0];
      console.log(loss < 0.75, optimizer.iterations);`;
    expect(run(`${snippetOf('README.md', 'cgfac')}\n${after}`).stdout).toMatch(/^\[ [\d.]+, [\d.]+ \]\ntrue 6\n$/);
  });

  test('the one with a preconditioner updates the weights', () => {
    const { stdout } = run(`${snippetOf('README.md', 'Preconditioner')}\nconsole.log(weights.kernel[0] < 0.1);`);
    expect(stdout.endsWith('true\n')).toBe(true);
  });

  test('the one with native products installs and uninstalls them', () => {
    const after = 'console.log(tf.getBackend(), kernels.installed);';
    expect(run(`${snippetOf('docs/guide.md', 'installKernels')}\n${after}`).stdout).toBe('wasm false\n');
  });

  test('the one with a layer of typed arrays solves', () => {
    expect(run(snippetOf('docs/guide.md', 'LayerPreconditioner')).stdout).toMatch(
      /Float32Array\(6\).*Float32Array\(2\).*iterations: \d+, *residual: [\d.e-]+, *reason: 'converged'/s,
    );
  });
});
