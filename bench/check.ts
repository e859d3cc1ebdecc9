// npm run bench:check [-- --only PART] [-- --update [PART]]: solvers are as fast as bench/baseline.json says, training
// steps as bench/steps.json says, and programs train as well as bench/losses.json says. PART is speed, steps or losses;
// all without one.
import { Command, Option } from 'commander';
import { lossesRule, lossOutcomes, updateLosses } from './check/losses';
import type { Outcome } from './check/outcome';
import { speedOutcomes, speedRule, updateSpeed } from './check/speed';
import { stepOutcomes, stepsRule, updateSteps } from './check/steps';
import { startProgress } from './harness/progress';
import { heading, machine } from './harness/rows';
import type { Progress } from './harness/suite';

interface Part {
  readonly rule: string;
  readonly outcomes: (progress: Progress) => Outcome[] | Promise<Outcome[]>;
  /** Writes what is compared with; says where it is and what it is made of. */
  readonly update: (progress: Progress) => string | Promise<string>;
}

const parts: Readonly<Record<'speed' | 'steps' | 'losses', Part>> = {
  speed: { rule: speedRule, outcomes: speedOutcomes, update: updateSpeed },
  steps: { rule: stepsRule, outcomes: stepOutcomes, update: updateSteps },
  losses: { rule: lossesRule, outcomes: lossOutcomes, update: updateLosses },
};
type Name = keyof typeof parts;
const names = Object.keys(parts) as Name[];

async function check(chosen: readonly Name[], progress: Progress): Promise<void> {
  const all: Outcome[] = [];
  for (const name of chosen) all.push(...(await parts[name].outcomes(progress)));
  progress.stop();
  for (const { name, passed, figures } of all) console.log(`${passed ? 'ok    ' : 'FAILED'} ${name}: ${figures}`);
  const failed = all.filter(({ passed }) => !passed).length;
  console.log(`${all.length - failed} passed, ${failed} failed`);
  if (failed > 0) process.exitCode = 1;
}

async function update(chosen: readonly Name[], progress: Progress): Promise<void> {
  const written: string[] = [];
  for (const name of chosen) written.push(await parts[name].update(progress));
  progress.stop();
  console.log(`${written.join('\n')}\nA change of it needs a line in docs/decisions/.`);
}

interface Options {
  readonly only?: Name;
  /** True without a part. */
  readonly update?: Name | true;
}

async function run(options: Options): Promise<void> {
  const part = options.only ?? (options.update === true ? undefined : options.update);
  const chosen = names.filter((name) => part === undefined || name === part);
  console.log(`bench:check: ${chosen.map((name) => parts[name].rule).join(';\n')}\n${heading(machine())}\n`);
  const progress = startProgress('bench:check');
  try {
    if (options.update === undefined) await check(chosen, progress);
    else await update(chosen, progress);
  } finally {
    progress.stop();
  }
}

const program = new Command('bench:check')
  .description(
    'Fails where a solver or a step has become slower, or a program trains worse, than the files of bench/ say.',
  )
  .addOption(new Option('--only <part>', 'compare one part alone').choices(names).conflicts('update'))
  .addOption(new Option('--update [part]', 'write what is compared with instead, of one part or of all').choices(names))
  .action(run);

program.parseAsync().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
});
