#!/usr/bin/env node
/** The command `cgfac`: what it is called with, and its exit code, 0, or 1 where it failed, or 2 for a wrong call. */
import { createRequire } from 'node:module';
import { parseArgs } from 'node:util';
import { didYouMean } from '../base/validate';
import { build } from './build';
import { type Command, columns, helpOf, optionsOf, UsageError, type Values } from './command';
import { doctor } from './doctor';

const { version, homepage } = createRequire(__filename)('cgfac/package.json') as { version: string; homepage: string };

const commands: ReadonlyMap<string, Command> = new Map([
  ['doctor', doctor],
  ['build', build],
]);

const print = (line: string) => process.stdout.write(`${line}\n`);

function help(): string {
  const summaries = [...commands].map(([name, { summary }]) => [name, summary] as const);
  const options = [
    ['-h, --help', 'this text; after a command, its options'],
    ['-v, --version', 'the version of cgfac'],
  ] as const;
  return `cgfac ${version}: second-order training for Node

Usage: cgfac <command> [options]

Commands:
${columns(summaries)}

Options:
${columns(options)}

Exit code: 0 where all went well, 1 where it did not, 2 where the call was wrong.
Documentation: ${homepage}`;
}

/** The options of a command line, or the error that says what is wrong with it. */
function parsed(args: readonly string[], command: Command | undefined): { values: Values; rest: string[] } {
  const version = { type: 'boolean', short: 'v' } as const;
  const options = command === undefined ? { ...optionsOf(command), version } : optionsOf(command);
  try {
    const { values, positionals } = parseArgs({ args: [...args], options, allowPositionals: true });
    return { values: values as Values, rest: positionals };
  } catch (error) {
    throw new UsageError((error as Error).message.split('. To specify')[0]);
  }
}

/** Runs the command line; the exit code. */
async function run(args: readonly string[]): Promise<number> {
  const [name = ''] = args;
  const command = commands.get(name);
  if (command === undefined && !name.startsWith('-')) {
    if (name === '') throw new UsageError('Expected a command but received none');
    throw new UsageError(`Expected a command but received '${name}'${didYouMean(name, [...commands.keys()])}`);
  }
  const { values, rest } = parsed(command === undefined ? args : args.slice(1), command);
  if (command === undefined) {
    if (rest.length > 0 || (values.help !== true && values.version !== true)) {
      throw new UsageError(`Expected a command, --help or --version but received '${args.join(' ')}'`);
    }
    print(values.help === true ? help() : version);
    return 0;
  }
  if (rest.length > 0) throw new UsageError(`Expected options of ${name} alone but received '${rest.join(' ')}'`);
  if (values.help === true) {
    process.stdout.write(helpOf(name, command));
    return 0;
  }
  return (await command.run(values, print)) ? 0 : 1;
}

// whoever reads may have read enough, as `head` does
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit();
});

run(process.argv.slice(2)).then(
  (code) => {
    process.exitCode = code;
  },
  (error: unknown) => {
    const usage = error instanceof UsageError;
    const message = error instanceof Error ? error.message : String(error);
    process.stderr.write(`cgfac: ${message}\n${usage ? 'cgfac --help lists the commands and their options.\n' : ''}`);
    process.exitCode = usage ? 2 : 1;
  },
);
