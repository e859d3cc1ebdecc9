/**
 * The table of consumers. `CGFAC_CONSUMERS` says which rows run: those of every run (`always`, the default), `all`, or
 * `spoiled`, where each row is given a package that was harmed and has to fail with the words that tell of it. Words
 * after that are of the rows' names: `CGFAC_CONSUMERS='all Node 24'`.
 */
import { cpSync, mkdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { install } from '../packed';
import { rows as building } from './building';
import { rows as bundlers } from './bundlers';
import { rows as managers } from './managers';
import { rows as places } from './places';
import type { Place, Row } from './row';
import { rows as runtimes } from './runtimes';
import { type Spoil, spoil } from './spoiled';
import { linkTypes, rows as types } from './types';

const modes = ['always', 'all', 'spoiled'] as const;
type Mode = (typeof modes)[number];

function asked(text = 'always'): { mode: Mode; words: string } {
  const [name, ...words] = text.split(' ');
  const mode = modes.find((known) => known === name);
  if (mode === undefined) throw new Error(`Expected one of ${modes} for CGFAC_CONSUMERS but received '${text}'`);
  return { mode, words: words.join(' ') };
}

/** Every row there is. */
const table: readonly Row[] = [...types, ...bundlers, ...managers, ...runtimes, ...places, ...building];

/** What a table needs of the test that it is part of. */
export interface Given {
  readonly scratch: string;
  readonly tarball: string;
  readonly env: NodeJS.ProcessEnv;
  /** A project that has the tarball installed, and the programs of the folder `consumer`. */
  readonly installed: string;
}

function goodPlace({ scratch, tarball, env, installed }: Given): Place {
  const folder = join(scratch, 'consumers');
  const project = join(folder, 'project');
  cpSync(installed, project, { recursive: true });
  linkTypes(project);
  return { folder, tarball, env, project };
}

/** A place whose tarball is harmed. */
function spoiledPlace({ scratch, tarball, env }: Given, harm: Spoil): Place {
  const folder = join(scratch, harm);
  const spoiled = spoil(tarball, harm, folder);
  const project = join(folder, 'project');
  install(project, spoiled, env);
  linkTypes(project);
  return { folder, tarball: spoiled, env, project };
}

/** Runs jobs so many at a time, in their order; a promise for each of them. */
function inTurn(jobs: readonly (() => Promise<void>)[], atOnce: number): Promise<void>[] {
  const waiting = jobs.map((job) => {
    let settle = (_end: Promise<void>) => {};
    const end = new Promise<void>((resolve) => {
      settle = resolve;
    });
    return { job, end, settle };
  });
  const queue = [...waiting];
  const work = async (): Promise<void> => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      const end = next.job();
      next.settle(end);
      await end.catch(() => {});
    }
  };
  for (let lane = 0; lane < atOnce; lane++) void work();
  return waiting.map(({ end }) => end);
}

async function failsRightly({ run, failsWith }: Row, place: Place): Promise<void> {
  const said = await run(place).then(
    () => 'nothing: it passed',
    (error: Error) => error.message,
  );
  if (!failsWith.test(said)) throw new Error(`Expected the row to fail with ${failsWith} but received:\n${said}`);
}

/** The tests of the table. */
export function describeConsumers(given: () => Given): void {
  const { mode, words } = asked(process.env.CGFAC_CONSUMERS);
  const rows = table.filter(({ name, always }) => (always || mode !== 'always') && name.includes(words));
  let ends: Promise<void>[] = [];
  const spoiled = new Map<Spoil, Place>();

  beforeAll(() => {
    mkdirSync(join(given().scratch, 'consumers'));
    const good = mode === 'spoiled' ? undefined : goodPlace(given());
    const jobs = rows.map((row) => async () => {
      if (good !== undefined) return row.run(good);
      const place = spoiled.get(row.spoiledBy) ?? spoiledPlace(given(), row.spoiledBy);
      spoiled.set(row.spoiledBy, place);
      await failsRightly(row, place);
    });
    ends = inTurn(jobs, availableParallelism());
    for (const end of ends) end.catch(() => {});
  }, 120_000);

  test.each(rows.map(({ name }, index) => [name, index] as const))(
    mode === 'spoiled' ? '%s fails where the package is harmed' : '%s',
    (_name, index) => ends[index],
    600_000,
  );
}
