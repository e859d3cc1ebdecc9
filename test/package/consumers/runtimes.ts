/** The package in each release of Node, in workers, and under the permission model. */
import { join } from 'node:path';
import { ending, expectText, node, output, type Place, type Row, works } from './row';
import { toolsOf } from './tools';

const releases = [20, 22, 24] as const;
type Release = (typeof releases)[number];

/** The release of Node that runs the tests. */
const running = Number(process.versions.node.split('.')[0]);

/** The program of a release: the one that runs the tests where it is of that release, else that of a package. */
const nodeOf = (release: Release) =>
  release === running ? process.execPath : join(toolsOf('all'), `node-${release}/bin/node`);

async function inRelease(place: Place, release: Release): Promise<void> {
  const start = { cwd: place.project, env: place.env };
  for (const program of ['works.cjs', 'works.mjs']) expectText(await output(nodeOf(release), [program], start), works);
  expectText(
    await output(nodeOf(release), ['node_modules/cgfac/dist/lib/cli/main.js', 'doctor'], start),
    new RegExp(`Node\\.js +${release}\\..*cgfac works here\\.$`, 's'),
  );
}

/** A program under the permission model, with the project's folder and some flags allowed. */
function permitted(place: Place, release: Release, ...flags: string[]) {
  const model = release === 20 ? '--experimental-permission' : '--permission';
  const args = [model, `--allow-fs-read=${place.project}/*`, ...flags, join(place.project, 'works.cjs')];
  return ending(nodeOf(release), args, { cwd: place.project, env: place.env });
}

const rowsOf = (release: Release): Row[] => [
  {
    name: `Node ${release}`,
    spoiledBy: 'no-binary',
    failsWith: /there is none for linux/,
    always: release === running,
    run: (place) => inRelease(place, release),
  },
  {
    name: `Node ${release} with --permission, --allow-addons and the project's folder`,
    spoiledBy: 'alpine',
    failsWith: /may not read that folder|restricted/,
    always: release === running,
    run: async (place) => expectText((await permitted(place, release, '--allow-addons')).output, works),
  },
  {
    name: `Node ${release} with --permission alone: the words`,
    spoiledBy: 'wordless',
    failsWith: /Expected .*cannot be loaded/s,
    always: release === running,
    run: async (place) =>
      expectText((await permitted(place, release)).output, /in \S*cgfac .*may not load addons.*--allow-addons/s),
  },
];

/** Releases of Node, workers, permissions. */
export const rows: readonly Row[] = [
  ...releases.flatMap(rowsOf),
  {
    name: 'worker threads',
    spoiledBy: 'main-thread-only',
    failsWith: /Error: main/,
    always: true,
    run: async (place) => expectText(await node(place, ['workers.cjs']), /2 workers: works with .*; works with /),
  },
];
