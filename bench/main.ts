// npm run bench -- SUITE [--layers NAMES] [--methods NAMES] [--threads N] [--budget MS] [--json FILE]
import { writeFileSync } from 'node:fs';
import { info, setThreads } from 'cgfac';
import { Argument, Command, InvalidArgumentError } from 'commander';
import { layersNamed } from './layers';
import { startProgress } from './progress';
import { machine, table } from './rows';
import { solve } from './suites/solve';

const suites = [solve];

function positive(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new InvalidArgumentError('Expected a positive integer.');
  return value;
}

const list = (text: string): string[] => text.split(',').filter((name) => name !== '');

interface Options {
  readonly layers: string[];
  readonly methods: string[];
  readonly threads?: number;
  readonly budget: number;
  readonly json?: string;
}

async function run(name: string, options: Options): Promise<void> {
  const suite = suites.find((candidate) => candidate.name === name);
  if (!suite) throw new RangeError(`there is no suite ${name}`);
  if (options.threads !== undefined) setThreads(options.threads);
  const layers = layersNamed(options.layers);
  const description = machine();
  console.log(
    `${suite.name}: ${suite.summary}\n${description.cpu}, ${description.cores} cores, Node ${description.node}; ` +
      `OpenBLAS ${description.blasVersion}, kernel ${description.blasCore}, one BLAS thread; ${info().threads} pool threads\n`,
  );
  const progress = startProgress(suite.name);
  try {
    const rows = await suite.run({ layers, methods: options.methods, budget: options.budget, progress });
    progress.stop();
    console.log(table(rows));
    if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify({ machine: description, rows }, null, 1)}\n`);
  } finally {
    progress.stop();
  }
}

const program = new Command('bench')
  .description('Measures cgfac. Every speed is a ratio of two things timed side by side in the same run.')
  .addArgument(new Argument('<suite>', 'what to measure').choices(suites.map(({ name }) => name)))
  .option('--layers <names>', 'layers, m×n, separated by commas (default: all)', list, [])
  .option('--methods <names>', 'methods, separated by commas (default: all)', list, [])
  .option('--threads <n>', 'pool threads (default: the number of cores)', positive)
  .option('--budget <ms>', 'milliseconds to spend on the methods of one layer', positive, 3000)
  .option('--json <file>', 'write the rows to a file')
  .action(run);

program.parseAsync().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
});
