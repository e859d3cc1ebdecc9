import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import { run } from '../support/children';

// What is said of what the system refuses; lifecycle-table.test.ts has all that it may refuse.
/** What an ELF file says of its thread-local variables: their bytes, and whether threads have them from their start. */
function threadLocal(file: Buffer) {
  const at = (offset: number) => Number(file.readBigUInt64LE(offset));
  const [headers, size, count] = [at(32), file.readUInt16LE(54), file.readUInt16LE(56)];
  const segments = Array.from({ length: count }, (_, i) => headers + i * size);
  const segment = (type: number) => segments.find((offset) => file.readUInt32LE(offset) === type) ?? Number.NaN;
  const [dynamic, local] = [segment(2), segment(7)];
  const entries = Array.from({ length: at(dynamic + 32) / 16 }, (_, i) => at(dynamic + 8) + 16 * i);
  const flags = entries.find((offset) => at(offset) === 30);
  return { bytes: at(local + 40), fromStart: flags !== undefined && (at(flags + 8) & 16) !== 0 };
}

// a refusal would end the process
test('the addon takes no memory for the variables of a thread after its start', () => {
  const folder = process.env.CGFAC_PREBUILD ?? resolve(__dirname, '../..');
  const { bytes, fromStart } = threadLocal(readFileSync(resolve(folder, 'build/Release/cgfac.node')));
  expect(fromStart).toBe(true);
  // what glibc has for libraries that are loaded later is about 1600 for all of them together
  expect(bytes).toBeLessThanOrEqual(128);
});

describe('a kernel of OpenBLAS', () => {
  const kernels = 'Excavator Steamroller Opteron Haswell SkylakeX';

  test.each(kernels.split(' '))('%s runs, or is refused before the first product', async (kernel) => {
    const { end, stdout } = await run('blas-kernel.cjs', { env: { OPENBLAS_CORETYPE: kernel } });
    expect(end).toBe(0);
    const refused = new RegExp(`^ERR_CGFAC_BLAS_MISMATCH .*'${kernel}', which needs .*OPENBLAS_CORETYPE`);
    expect(stdout).toMatch(new RegExp(`^${kernel} ${kernel}$|${refused.source}`));
  });
});

describe('CGFAC_NUM_THREADS', () => {
  const report = async (value: string) => {
    const { stdout, stderr } = await run('thread-setting.cjs', { args: ['worker'], env: { CGFAC_NUM_THREADS: value } });
    return [stdout, stderr.match(/CgfacWarning: .*/g) ?? []];
  };
  const allowed = String(availableParallelism());

  test('that is a number in range is taken', async () => {
    expect(await report('3')).toEqual(['3', []]);
  });

  test.each(['1025', 'two'])('that is %s is told once, and not taken', async (value) => {
    const warning = `CgfacWarning: Expected an integer from 1 to 1024 for CGFAC_NUM_THREADS but received '${value}'`;
    const [threads, warnings] = await report(value);
    expect(threads).toBe(allowed);
    expect(warnings).toEqual([expect.stringContaining(warning)]);
  });
});
