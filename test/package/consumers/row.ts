/** What a row of the table of consumers is, and what it has to work with. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import type { Spoil } from './spoiled';

/** A packed package, and a place for projects that install it. */
export interface Place {
  readonly folder: string;
  readonly tarball: string;
  /** What a consumer has in its environment: nothing but Node on PATH. */
  readonly env: NodeJS.ProcessEnv;
  /** The project that npm installed, which rows share and leave as it is. */
  readonly project: string;
}

/** A consumer: what it does with the package, and what would break that. */
export interface Row {
  readonly name: string;
  /** The harm to the package with which the row has to fail. */
  readonly spoiledBy: Spoil;
  /** What the row says then. */
  readonly failsWith: RegExp;
  /** Whether the row is part of every run; the others are with CGFAC_CONSUMERS=all. */
  readonly always: boolean;
  run(place: Place): Promise<void>;
}

/** How a program is started, beside its arguments. */
export interface Start {
  readonly cwd: string;
  readonly env: NodeJS.ProcessEnv;
  readonly uid?: number;
}

/** How a program ended, and all that it printed. */
export interface Ending {
  readonly code: number | null;
  readonly output: string;
}

/** Runs a program for two minutes at most. */
export function ending(command: string, args: readonly string[], start: Start): Promise<Ending> {
  const { uid, ...rest } = start;
  const user = uid === undefined ? {} : { uid, gid: uid };
  const child = spawn(command, args, { ...rest, ...user, stdio: ['ignore', 'pipe', 'pipe'], timeout: 120_000 });
  let output = '';
  const take = (text: string) => {
    output += text;
  };
  child.stdout.setEncoding('utf8').on('data', take);
  child.stderr.setEncoding('utf8').on('data', take);
  return new Promise((settle, fail) => {
    child.once('error', fail);
    child.once('close', (code) => settle({ code, output: output.trim() }));
  });
}

/** Runs a program that has to end with 0; what it printed. */
export async function output(command: string, args: readonly string[], start: Start): Promise<string> {
  const { code, output: printed } = await ending(command, args, start);
  if (code !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${code}:\n${printed}`);
  return printed;
}

/** Runs a script by the Node of the place. */
export function node(place: Place, args: readonly string[], start: Partial<Start> = {}): Promise<string> {
  return output('node', args, { cwd: place.project, env: place.env, ...start });
}

/** Throws where a text does not have what is expected of it. */
export function expectText(text: string, expected: RegExp): void {
  if (!expected.test(text)) throw new Error(`Expected ${expected} but received:\n${text}`);
}

/** What the program `works.cjs` and `works.mjs` of the folder `consumer` print where the package works. */
export const works = /works with \d+ threads?$/m;

/** A program of the folder `consumer`, in a project. */
export const program = (place: Place, name: string) => join(place.project, name);
