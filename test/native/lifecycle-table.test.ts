import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { lifecycleRuns, run, runOften, sanitized } from '../support/children';
import { exitPairs, type LifecycleRow, lifecycleRows, lifecycleTable } from '../support/lifecycle-rows';

// Every row ends with the exit code 0, not by a signal, and prints what it is to print, each time.
const matches = (ending: string, expected: string | RegExp) =>
  typeof expected === 'string'
    ? ending === `0: ${expected}`
    : ending.startsWith('0: ') && expected.test(ending.slice(3));

async function unlike({ program, start, runs, prints }: LifecycleRow): Promise<string[]> {
  const times = runs === 'processes' ? lifecycleRuns : 1;
  const endings = await runOften(program, (time) => start(time, lifecycleRuns), times);
  return endings.filter((ending) => !matches(ending, prints(lifecycleRuns)));
}

describe.each(['memory', 'system', 'cancellation'] as const)('%s', (kind) => {
  for (const row of lifecycleRows.filter((each) => each.kind === kind)) {
    (row.skipped ? test.skip : test)(row.what, async () => expect(await unlike(row)).toEqual([]), 240_000);
  }
});

(sanitized ? test.skip : test).each(exitPairs)(
  'exit() at N = 2000 within 300 ms, with %s and %s at work',
  async (...names) => {
    const { end, stdout, stderr } = await run('exit-methods.cjs', { args: ['2000', '150', ...names] });
    const late = Date.now();
    expect([end, stderr]).toEqual([0, '']);
    // 200 ms: the end of the process itself, on a busy machine
    expect(late - Number(/^left (\d+)$/.exec(stdout)?.[1])).toBeLessThan(300 + 200);
  },
);

test('every row is run twenty times, and but for the longest ones', () => {
  expect(lifecycleRows.filter(({ runs }) => runs === 1).map(({ what }) => what)).toEqual([
    expect.stringContaining('N = 2000'),
    expect.stringContaining('N = 2000'),
  ]);
});

test('docs/reliability.md shows the table', () => {
  expect(readFileSync(resolve(__dirname, '../../docs/reliability.md'), 'utf8')).toContain(`\n${lifecycleTable()}\n`);
});
