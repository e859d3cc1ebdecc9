import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { run, runOften } from '../support/children';

// What the system refuses, in processes of their own: each row ends with an exit code, never by a signal or hanging.
const line = (text: string) => text.split('\n').at(-1);
const isRoot = process.getuid?.() === 0;
/** AddressSanitizer takes terabytes of address space, which no limit of it goes with. */
const sanitized = process.env.LD_PRELOAD?.includes('libasan') ?? false;

describe('threads that the system does not start', () => {
  const later = '6 threads, 0 refused';

  test('all of them: the calling thread does the work, and they are started once they may be', async () => {
    const endings = await runOften('refused-threads.cjs', () => ({ args: ['0'] }));
    expect(endings).toEqual([`0: 1 threads, 6 refused, same results\n${later}`]);
  });

  // the limit counts all threads of a user: that of a user without other processes alone is known
  (isRoot ? test : test.skip)('some of them: the others do the work', async () => {
    const endings = await runOften('refused-threads.cjs', () => ({ args: ['2'] }), 3);
    expect(endings).toEqual([`0: 2 threads, 4 refused, same results\n${later}`]);
  });
});

(sanitized ? describe.skip : describe)('memory that the system does not give', () => {
  // megabytes of address space: too few for the addon, for the buffer of a product, and for one of each thread
  test('at load: an error with a code', async () => {
    const endings = await runOften('refused-memory.cjs', (time) => ({ args: [String(time % 2 === 0 ? 14 : 60)] }));
    expect(endings).toEqual(['0: ERR_CGFAC_NATIVE_LOAD', '0: ERR_CGFAC_OUT_OF_MEMORY']);
  });

  test('for the buffers of further threads: they wait for the first one', async () => {
    const env = { CGFAC_NUM_THREADS: '4' };
    const { end, stdout } = await run('refused-memory.cjs', { args: ['1000'], env });
    expect([end, stdout]).toEqual([0, 'solved max-iterations']);
  });
});

describe('a kernel of OpenBLAS', () => {
  const kernels = 'Excavator Steamroller Opteron Haswell SkylakeX';

  test.each(kernels.split(' '))('%s runs, or is refused before the first product', async (kernel) => {
    const { end, stdout } = await run('blas-kernel.cjs', { env: { OPENBLAS_CORETYPE: kernel } });
    expect(end).toBe(0);
    const refused = new RegExp(`^ERR_CGFAC_BLAS_MISMATCH .*'${kernel}', which needs .*OPENBLAS_CORETYPE`);
    expect(stdout).toMatch(new RegExp(`^${kernel} ${kernel}$|${refused.source}`));
  });

  test('with instructions that no processor has all of is refused', async () => {
    const flags = /^flags\s*:(.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1]?.trim().split(' ') ?? [];
    const foreign = flags.includes('fma4') ? 'SkylakeX' : 'Excavator';
    const { stdout } = await run('blas-kernel.cjs', { env: { OPENBLAS_CORETYPE: foreign } });
    expect(stdout).toContain('ERR_CGFAC_BLAS_MISMATCH');
  });
});

describe('CGFAC_NUM_THREADS', () => {
  const report = async (value: string | undefined, confined = false) => {
    const args = confined ? ['confined'] : [];
    const { stdout, stderr } = await run('thread-setting.cjs', { args, env: { CGFAC_NUM_THREADS: value } });
    return [line(stdout), stderr.match(/CgfacWarning: .*/g) ?? []];
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

  test('that is unset means those that the process may use', async () => {
    expect(await report(undefined)).toEqual([allowed, []]);
    expect(await report(undefined, true)).toEqual(['1', []]);
  });
});
