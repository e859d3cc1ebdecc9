/** `cgfac build` where it cannot build. Where it can it takes minutes, and is a step of `npm run release:check`. */
import { copyOf, nobody } from './places';
import { ending, expectText, type Row } from './row';

const command = 'node_modules/cgfac/dist/lib/cli/main.js';

/** The words of a build without tools, and of one that has nowhere to write to. */
export const rows: readonly Row[] = [
  {
    name: 'cgfac build without tools: the words',
    spoiledBy: 'build-without-words',
    failsWith: /Expected .*CMake/s,
    always: true,
    run: async (place) => {
      const { code, output } = await ending('node', [command, 'build'], { cwd: place.project, env: place.env });
      expectText(`${code} ${output}`, /^1 .*missing:\n.*CMake 3\.25.*C\+\+20.*make or ninja/s);
    },
  },
  {
    name: 'cgfac build in a folder of another user: the words',
    spoiledBy: 'build-without-words',
    failsWith: /Expected .*read-only/s,
    always: process.getuid?.() === 0,
    run: async (place) => {
      const cwd = copyOf(place, 'of-root');
      const { code, output } = await ending('node', [command, 'build'], { cwd, env: place.env, ...nobody });
      expectText(`${code} ${output}`, /^1 .*cgfac\/build\/Release, but .*cgfac is read-only for this user/s);
    },
  },
];
