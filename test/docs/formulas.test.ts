import { spawnSync } from 'node:child_process';
import { resolve } from 'node:path';

// The site's formulas are written as text and made by a script of the build, which knows no tests.
const root = resolve(__dirname, '../..');

/** What the script makes of formulas, as TeX or as a document. */
function made(call: 'texOf' | 'withFormulas', texts: readonly string[]): (string | { readonly error: string })[] {
  const program = `import { ${call} } from './scripts/docs/formulas.mjs';
    const each = (text) => { try { return ${call}(text); } catch (error) { return { error: error.message }; } };
    console.log(JSON.stringify(JSON.parse(process.argv[1]).map(each)));`;
  const { stdout, stderr, status } = spawnSync(
    process.execPath,
    ['--input-type=module', '--eval', program, JSON.stringify(texts)],
    { cwd: root, encoding: 'utf8' },
  );
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  return JSON.parse(stdout);
}

const plain = (tex: unknown) => String(tex).replace(/\\[,]/g, '').replace(/\s+/g, '');

test('formulas of plain text as TeX', () => {
  const cases = [
    ['γ_A = π√λ', '\\gamma_{A}=\\pi\\sqrt{\\lambda}'],
    ['U = P_gᵀ v P_a', 'U=P_{g}^{\\mathsf{T}}vP_{a}'],
    ['v̂_ij = Û_ij/√E_ij', '\\hat{v}_{ij}=\\hat{U}_{ij}/\\sqrt{E_{ij}}'],
    ['x₀ ≠ 2⁻²⁴·‖r‖', 'x_{0}\\ne2^{-24}\\cdot\\|r\\|'],
    ['min(1, √(κ/(η²·Σ_l r_l)))', '\\operatorname{min}(1,\\sqrt{\\kappa/(\\eta^{2}\\cdot\\sum_{l}r_{l})})'],
    ['a Σ s, because b', 'a\\sums,\\text{because}b'],
  ] as const;
  expect(
    made(
      'texOf',
      cases.map(([text]) => text),
    ).map(plain),
  ).toEqual(cases.map(([, tex]) => tex));
});

test('a sign that is not known, and a bracket that stays open, end the build', () => {
  expect(made('texOf', ['a ♥ b', '√(a + b'])).toEqual([
    { error: expect.stringContaining('"♥"') },
    { error: expect.stringContaining('a bracket that closes') },
  ]);
});

test('what is indented in a document becomes MathML, code stays as it is', () => {
  const [html] = made('withFormulas', ['Text:\n\n    x = λ\n\nand\n\n```js\n\n    y = 1\n\n```\n']);
  expect(html).toContain('<math');
  expect(html).toContain('<mi mathvariant="normal" class="greek">λ</mi>');
  expect(html).toContain('    y = 1');
});
