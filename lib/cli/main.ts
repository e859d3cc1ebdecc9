#!/usr/bin/env node
/** The command `cgfac`: what it is called with, and its exit code, 0 or 1. */
import { createRequire } from 'node:module';
import { parseArgs } from 'node:util';
import { doctor } from './doctor';

const { version } = createRequire(__filename)('cgfac/package.json') as { version: string };

const help = `Usage: cgfac <command>

Commands:
  doctor         versions, kernel and threads of this installation, a self-test, and a benchmark of one second;
                 exit code 0 where cgfac works here, else 1

Options:
  -h, --help     this text
  -v, --version  the version of cgfac
`;

/** Runs the command line; the exit code. */
async function run(args: readonly string[]): Promise<number> {
  const options = { help: { type: 'boolean', short: 'h' }, version: { type: 'boolean', short: 'v' } } as const;
  const { values, positionals } = parseArgs({ args: [...args], options, allowPositionals: true });
  const [command, ...rest] = positionals;
  if (values.help) {
    process.stdout.write(help);
    return 0;
  }
  if (values.version) {
    process.stdout.write(`${version}\n`);
    return 0;
  }
  if (command !== 'doctor' || rest.length > 0) {
    const received = positionals.length === 0 ? 'nothing' : `'${positionals.join(' ')}'`;
    throw new Error(`Expected the command 'doctor' but received ${received}`);
  }
  return (await doctor((line) => process.stdout.write(`${line}\n`))) ? 0 : 1;
}

run(process.argv.slice(2)).then(
  (code) => {
    process.exitCode = code;
  },
  (error: unknown) => {
    process.stderr.write(`cgfac: ${error instanceof Error ? error.message : String(error)}\n\n${help}`);
    process.exitCode = 1;
  },
);
