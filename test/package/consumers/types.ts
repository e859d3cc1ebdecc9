/** The types of the package under releases of TypeScript, for each way that it finds modules. */
import { symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../packed';
import { expectText, node, type Place, type Row } from './row';
import { toolsOf } from './tools';

const versions = { '5.0': 'always', 5.4: 'all', 5.9: 'all', '6.0': 'own' } as const;
type Version = keyof typeof versions;

const resolutions = {
  node10: { spoiledBy: 'no-types-versions', failsWith: /TS2307.*cgfac\/tfjs/s },
  node16: { spoiledBy: 'no-types-of-esm', failsWith: /TS7016|TS1479|TS2307/ },
  bundler: { spoiledBy: 'broken-types', failsWith: /NoSuchType/ },
} as const;
type Resolution = keyof typeof resolutions;

type Findings = Readonly<Record<Resolution, readonly string[]>>;

function compilerOf(version: Version): string {
  const set = versions[version];
  return set === 'own' ? join(ROOT, 'node_modules/typescript') : join(toolsOf(set), `typescript-${version}`);
}

const projects = new WeakMap<Place, Map<Version, Promise<Findings>>>();

/** What a compiler finds in the consumers' files and in the types of the package, by the way it finds modules. */
async function check(place: Place, version: Version): Promise<Findings> {
  return JSON.parse(await node(place, ['check-types.cjs', compilerOf(version)]));
}

/** One run of a compiler for all ways: most of its time is for the types of the browser and of TensorFlow.js. */
function findings(place: Place, version: Version): Promise<Findings> {
  const known = projects.get(place) ?? new Map<Version, Promise<Findings>>();
  projects.set(place, known);
  const made = known.get(version) ?? check(place, version);
  known.set(version, made);
  return made;
}

/** The types of TensorFlow.js and of Node, beside the package of a project. */
export function linkTypes(project: string): void {
  for (const name of ['@tensorflow', '@types', '@webgpu']) {
    symlinkSync(join(ROOT, 'node_modules', name), join(project, 'node_modules', name));
  }
}

/** Each release with each way. */
const compilers = (Object.keys(versions) as Version[]).flatMap((version): Row[] =>
  (Object.keys(resolutions) as Resolution[]).map((resolution) => ({
    name: `TypeScript ${version}, moduleResolution ${resolution}, skipLibCheck false`,
    ...resolutions[resolution],
    always: versions[version] !== 'all',
    run: async (place: Place) => {
      const found = (await findings(place, version))[resolution];
      if (found.length > 0) throw new Error(found.join('\n'));
    },
  })),
);

/** Compilers, and the check of the package's manifest against the files that it names. */
export const rows: readonly Row[] = [
  ...compilers,
  {
    name: 'attw (Are the types wrong?)',
    spoiledBy: 'no-types-of-esm',
    failsWith: /no type declarations were found/,
    always: false,
    run: async (place) => {
      const attw = join(toolsOf('all'), '@arethetypeswrong/cli/dist/index.js');
      expectText(await node(place, [attw, place.tarball, '--no-color', '--no-emoji']), /No problems found/);
    },
  },
];
