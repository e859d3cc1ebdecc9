/** The package installed by each package manager. */
import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expectText, node, type Place, type Row, works } from './row';
import { cacheOf, registryEnvironment, toolsOf } from './tools';

/** An empty project, with the programs of the folder `consumer`. */
function emptyProject(place: Place, name: string): string {
  const project = join(place.folder, name);
  mkdirSync(project);
  writeFileSync(join(project, 'package.json'), JSON.stringify({ name, private: true }));
  cpSync(join(__dirname, '../consumer'), project, { recursive: true });
  return project;
}

async function withPnpm(place: Place): Promise<void> {
  const cwd = emptyProject(place, 'pnpm');
  const env = { ...place.env, ...registryEnvironment(), npm_config_store_dir: cacheOf('pnpm'), CI: 'true' };
  const pnpm = join(toolsOf('always'), 'pnpm/bin/pnpm.cjs');
  await node(place, [pnpm, 'add', '--prefer-offline', place.tarball], { cwd, env });
  for (const program of ['works.cjs', 'works.mjs']) expectText(await node(place, [program], { cwd }), works);
  // not by pnpm exec: what it puts on PATH is a script of the shell, which calls sed
  expectText(await node(place, ['node_modules/cgfac/dist/lib/cli/main.js', 'doctor'], { cwd }), /cgfac works here\.$/);
}

/** A project of Yarn, with a call of Yarn in it. */
async function yarnProject(place: Place, linker: 'node-modules' | 'pnp') {
  const cwd = emptyProject(place, `yarn-${linker}`);
  // the loader of ES modules is made where a project asks for it
  writeFileSync(join(cwd, '.yarnrc.yml'), `nodeLinker: ${linker}\npnpEnableEsmLoader: true\nenableTelemetry: false\n`);
  writeFileSync(join(cwd, 'yarn.lock'), '');
  const env = {
    ...place.env,
    ...registryEnvironment(),
    YARN_GLOBAL_FOLDER: cacheOf('yarn'),
    YARN_ENABLE_IMMUTABLE_INSTALLS: 'false',
  };
  const script = join(toolsOf('always'), '@yarnpkg/cli-dist/bin/yarn.js');
  const yarn = (...args: string[]) => node(place, [script, ...args], { cwd, env });
  await yarn('add', `cgfac@file:${place.tarball}`);
  return { cwd, yarn };
}

async function withYarn(place: Place): Promise<void> {
  const { cwd, yarn } = await yarnProject(place, 'node-modules');
  for (const program of ['works.cjs', 'works.mjs']) expectText(await node(place, [program], { cwd }), works);
  expectText(await yarn('cgfac', 'doctor'), /cgfac works here\.$/);
}

const pnpProjects = new WeakMap<Place, ReturnType<typeof yarnProject>>();

/** The one project of Yarn's Plug'n'Play, for both module systems. */
function pnpProject(place: Place): ReturnType<typeof yarnProject> {
  const made = pnpProjects.get(place) ?? yarnProject(place, 'pnp');
  pnpProjects.set(place, made);
  return made;
}

const undeclared = { spoiledBy: 'undeclared', failsWith: /node-gyp-build/, always: true } as const;

/** npm, pnpm, and Yarn with both linkers. */
export const rows: readonly Row[] = [
  {
    name: 'npm',
    spoiledBy: 'no-binary',
    failsWith: /there is none for linux/,
    always: true,
    run: async (place) => {
      for (const program of ['works.cjs', 'works.mjs']) expectText(await node(place, [program]), works);
      expectText(await node(place, ['node_modules/.bin/cgfac', 'doctor']), /cgfac works here\.$/);
    },
  },
  { name: 'pnpm', ...undeclared, run: withPnpm },
  { name: 'Yarn with node_modules', ...undeclared, run: withYarn },
  {
    name: "Yarn's Plug'n'Play from CommonJS",
    ...undeclared,
    run: async (place) => {
      const { yarn } = await pnpProject(place);
      expectText(await yarn('node', 'works.cjs'), works);
    },
  },
  {
    name: "Yarn's Plug'n'Play from an ES module",
    spoiledBy: 'no-esm',
    failsWith: /index\.mjs|no .*export|not provide an export|not found/i,
    always: true,
    run: async (place) => {
      const { yarn } = await pnpProject(place);
      expectText(await yarn('node', 'works.mjs'), works);
    },
  },
];
