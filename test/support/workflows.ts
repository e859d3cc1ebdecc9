/** What is wrong with a set of GitHub workflows, by the rules of this repository. */
import { parse } from 'yaml';

interface Step {
  readonly uses?: string;
  readonly run?: string;
}

interface Job {
  readonly needs?: string | readonly string[];
  readonly uses?: string;
  readonly permissions?: Readonly<Record<string, string>>;
  readonly steps?: readonly Step[];
  readonly strategy?: {
    readonly matrix: { readonly platform?: readonly string[]; readonly include?: readonly { platform?: string }[] };
  };
}

/** A workflow, as far as it is looked at. */
export interface Workflow {
  readonly on: unknown;
  readonly permissions?: unknown;
  readonly jobs: Readonly<Record<string, Job>>;
}

/** Texts of workflows, by their names. */
export type Texts = Readonly<Record<string, string>>;

/** Reads one of some workflows. */
export const parsed = (texts: Texts, name: string): Workflow => parse(texts[name] ?? '') as Workflow;

/** Jobs that are waited for, directly or not. */
function waitedFor(jobs: Workflow['jobs'], name: string, seen = new Set<string>()): Set<string> {
  for (const each of [jobs[name]?.needs ?? []].flat()) {
    if (seen.has(each)) continue;
    seen.add(each);
    waitedFor(jobs, each, seen);
  }
  return seen;
}

/** Every action is that of a commit, whose version a comment names. */
export function looseActions(texts: Texts): string[] {
  return Object.entries(texts).flatMap(([name, text]) =>
    text.split('\n').flatMap((line, i) => {
      const uses = /\buses: *(\S+)/.exec(line)?.[1];
      if (uses === undefined || uses.startsWith('./')) return [];
      return /uses: *[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/.test(line) ? [] : [`${name}:${i + 1}: ${uses}`];
    }),
  );
}

/** Jobs that may do more than read the sources, as 'name: scope'; a workflow gives nothing to all of its jobs. */
export function grants(texts: Texts): string[] {
  return Object.keys(texts).flatMap((name) => {
    const { permissions, jobs } = parsed(texts, name);
    const toAll = JSON.stringify(permissions) === '{}' ? [] : [`${name}: all jobs`];
    const toOne = Object.entries(jobs).flatMap(([job, { permissions: own }]) => {
      if (own === undefined) return [`${name}/${job}: unsaid`];
      return Object.entries(own)
        .filter(([scope, access]) => !(scope === 'contents' && access === 'read'))
        .map(([scope, access]) => `${name}/${job}: ${scope} ${access}`);
    });
    return [...toAll, ...toOne];
  });
}

/** The platforms of the jobs of a workflow whose steps run a command. */
export function platformsOf(workflow: Workflow, command: string): string[] {
  return Object.values(workflow.jobs).flatMap(({ steps = [], strategy }) => {
    const runs = steps.map(({ run = '' }) => run).filter((run) => run.includes(command));
    if (runs.length === 0) return [];
    const named = runs.flatMap(
      (run) => run.match(new RegExp(`${command}\\S* (?:packages )?([a-z]+\\d*-\\w+)`))?.[1] ?? [],
    );
    const listed = strategy?.matrix.platform ?? strategy?.matrix.include?.map(({ platform = '' }) => platform);
    return listed ?? named;
  });
}

/** Jobs that publish, and those of the same workflow that they do not wait for. */
export function publishedWithout(texts: Texts): string[] {
  return Object.keys(texts).flatMap((name) => {
    const { jobs } = parsed(texts, name);
    const publishing = Object.keys(jobs).filter((job) =>
      jobs[job]?.steps?.some(({ run }) => run?.includes('npm publish')),
    );
    return publishing.flatMap((job) => {
      const waited = waitedFor(jobs, job);
      return Object.keys(jobs)
        .filter((other) => other !== job && !waited.has(other))
        .map((other) => `${name}: ${job} does not wait for ${other}`);
    });
  });
}
