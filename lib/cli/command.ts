/** What a command of `cgfac` is, and its text of help. */
import type { ParseArgsConfig } from 'node:util';

/** Takes a line of what a command tells. */
export type Print = (line: string) => void;

/** Values of the options of a command line, by their long names. */
export type Values = Readonly<Record<string, string | boolean | undefined>>;

/** An option of a command. */
export interface Option {
  readonly type: 'string' | 'boolean';
  readonly short?: string;
  /** What stands for the value in the text of help, `N` for instance. */
  readonly value?: string;
  /** What it does, in a few words. */
  readonly does: string;
}

/** A command: its texts, its options, and what it does. */
export interface Command {
  /** What it does, in one line of the list of commands. */
  readonly summary: string;
  /** What its own help says below the usage. */
  readonly text: string;
  readonly options: Readonly<Record<string, Option>>;
  /** Does it; whether all went well, which is the exit code 0 or 1. */
  run(values: Values, print: Print): Promise<boolean>;
}

/** The command line was wrong: exit code 2. */
export class UsageError extends Error {}

/** The options that every command has. */
const help: Option = { type: 'boolean', short: 'h', does: 'this text' };

/** All options of a command, as `parseArgs` takes them. */
export function optionsOf(command: Command | undefined): NonNullable<ParseArgsConfig['options']> {
  return Object.fromEntries(
    Object.entries({ ...command?.options, help }).map(([name, { type, short }]) => [
      name,
      short === undefined ? { type } : { type, short },
    ]),
  );
}

/** The lines of a list of names and what they do, in two columns. */
export function columns(rows: readonly (readonly [string, string])[]): string {
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, does]) => `  ${name.padEnd(width)}  ${does}`).join('\n');
}

/** An option as the text of help has it: `-j, --jobs N`. */
function spelling(name: string, { short, value }: Option): string {
  return `${short === undefined ? '    ' : `-${short}, `}--${name}${value === undefined ? '' : ` ${value}`}`;
}

/** The text of `cgfac <name> --help`. */
export function helpOf(name: string, command: Command): string {
  const rows = Object.entries({ ...command.options, help }).map(
    ([option, what]) => [spelling(option, what), what.does] as const,
  );
  return `Usage: cgfac ${name} [options]\n\n${command.text}\n\nOptions:\n${columns(rows)}\n`;
}
