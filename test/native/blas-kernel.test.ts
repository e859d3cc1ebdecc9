import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

// Which kernel is loaded is decided once for a process, so each of these is one of its own.
function kernel(environment: Readonly<Record<string, string>>): string {
  const { OPENBLAS_CORETYPE: _, ...env } = process.env;
  const program = join(__dirname, 'programs', 'blas-kernel.cjs');
  return spawnSync(process.execPath, [program], { encoding: 'utf8', env: { ...env, ...environment } }).stdout.trim();
}

const flags = new Set(/^flags\s*:(.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1]?.trim().split(' ') ?? []);
const amd = /^vendor_id\s*:\s*AuthenticAMD$/m.test(readFileSync('/proc/cpuinfo', 'utf8'));
const avx2 = flags.has('avx2') && flags.has('fma');
const avx512 = avx2 && ['avx512f', 'avx512cd', 'avx512bw', 'avx512dq', 'avx512vl'].every((flag) => flags.has(flag));

// OpenBLAS's own choice where the processor has no AVX2
const wanted = avx2 ? `^${amd ? 'Zen' : avx512 ? 'SkylakeX' : 'Haswell'} unset$` : '^[A-Z][a-z]+ unset$';

test('the kernel is the one for what the processor can do, and the environment stays as it was', () => {
  expect(kernel({})).toMatch(new RegExp(wanted));
});

test('a kernel named in the environment is taken', () => {
  expect(kernel({ OPENBLAS_CORETYPE: 'Nehalem' })).toBe('Nehalem Nehalem');
});
