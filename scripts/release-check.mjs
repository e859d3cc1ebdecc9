// npm run release:check [-- --list] [-- --only NAME,NAME]: all that must hold before a tag. Every step runs to its end,
// what a step printed is shown where it failed, and the last line counts them, after the seconds that each took.
import { parseArgs } from 'node:util';
import { steps } from './release/steps.mjs';

const options = { list: { type: 'boolean' }, only: { type: 'string' } };
const { values } = parseArgs({ options });

/** The steps that were asked for, in the order of the list. */
function asked(only) {
  if (only === undefined) return steps;
  const names = only.split(',');
  const known = steps.map(({ name }) => name);
  const unknown = names.filter((name) => !known.includes(name));
  if (unknown.length > 0) throw new RangeError(`Expected steps of ${known.join(', ')} but received ${unknown}`);
  return steps.filter(({ name }) => names.includes(name));
}

async function check({ name, holds, run }) {
  console.log(`release:check: ${name}: ${holds}`);
  const start = Date.now();
  const seconds = () => `${((Date.now() - start) / 1000).toFixed(0).padStart(5)} s`;
  try {
    const found = await run();
    if (found) console.log(`  ${found}`);
    return { passed: true, line: `${seconds()}  ${name}` };
  } catch (error) {
    console.error(`  FAILED: ${error.message}`);
    return { passed: false, line: `${seconds()}  ${name} FAILED` };
  }
}

const chosen = asked(values.only);
if (values.list) {
  const width = Math.max(...chosen.map(({ name }) => name.length));
  for (const { name, holds } of chosen) console.log(`${name.padEnd(width)}  ${holds}`);
} else {
  const results = [];
  for (const step of chosen) results.push(await check(step));
  const passed = results.filter((result) => result.passed).length;
  console.log(`\n${results.map(({ line }) => line).join('\n')}`);
  console.log(`${passed} passed, ${results.length - passed} failed`);
  process.exitCode = passed === results.length ? 0 : 1;
}
