/** What a build of the addon needs of the machine, and how to bring what is missing. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** Something that is missing: what it is, its package of Debian, and further words. */
export interface Missing {
  readonly what: string;
  readonly debian: string;
}

/** A command that can be run. */
interface Tool {
  readonly command: string;
  readonly version: string;
}

/** The first of these commands that can be run; `undefined` where none can. */
function firstOf(commands: readonly string[], env: NodeJS.ProcessEnv): Tool | undefined {
  for (const command of commands) {
    const { status, stdout } = spawnSync(command, ['--version'], { encoding: 'utf8', env });
    if (status === 0) return { command, version: /\d+(\.\d+)+/.exec(stdout)?.[0] ?? 'of an unknown version' };
  }
  return undefined;
}

/** The release of CMake that CMakeLists.txt asks for, as major and minor. */
const leastCmake = [3, 25] as const;

function cmakeIsOld(version: string): boolean {
  const [, major, minor] = /(\d+)\.(\d+)/.exec(version) ?? [];
  if (major === undefined) return false;
  const [wantedMajor, wantedMinor] = leastCmake;
  return Number(major) < wantedMajor || (Number(major) === wantedMajor && Number(minor) < wantedMinor);
}

/** The tools that are there, the generator that CMake is to use with them, and what is missing. */
export function toolchain(env = process.env): { found: string[]; generator: string; missing: Missing[] } {
  const missing: Missing[] = [];
  const found: string[] = [];
  const look = (commands: readonly string[], what: string, debian: string, tooOld = (_version: string) => false) => {
    const tool = firstOf(commands, env);
    if (tool === undefined || tooOld(tool.version)) {
      missing.push({ what: tool === undefined ? what : `${what}; this is ${tool.version}`, debian });
    } else found.push(`${tool.command} ${tool.version}`);
    return tool?.command;
  };
  look(['cmake'], `CMake ${leastCmake.join('.')} or newer`, 'cmake', cmakeIsOld);
  const { CXX } = env;
  look(CXX ? [CXX] : ['c++', 'g++', 'clang++'], 'a compiler of C++20 (g++ 11 or clang 15, or newer)', 'g++');
  const maker = look(['ninja', 'make', 'gmake'], 'make or ninja', 'make');
  return { found, generator: maker === 'ninja' ? 'Ninja' : 'Unix Makefiles', missing };
}

/** What is missing where CMake's configuration ended with this output; `undefined` where it is something else. */
export function missingLibrary(output: string): Missing | undefined {
  if (!/Could NOT find BLAS|OPENBLAS_INCLUDE_DIR/.test(output)) return undefined;
  return {
    what:
      'OpenBLAS as a static library with LAPACK, built with pthreads and -fPIC, with its headers ' +
      '(CMAKE_PREFIX_PATH names a folder that is not searched by itself)',
    debian: 'libopenblas-pthread-dev',
  };
}

function isDebian(): boolean {
  try {
    return /^ID(_LIKE)?=.*\b(debian|ubuntu)\b/m.test(readFileSync('/etc/os-release', 'utf8'));
  } catch {
    return false;
  }
}

/** The lines that say what is missing, and the command that installs it where the system is one that has it. */
export function wordsOf(missing: readonly Missing[]): string[] {
  const lines = ['These are needed to build the addon, and missing:', ...missing.map(({ what }) => `  - ${what}`)];
  const packages = missing.map(({ debian }) => debian).join(' ');
  if (isDebian()) lines.push(`As root, then start again:  apt-get update && apt-get install -y ${packages}`);
  else lines.push(`Debian and Ubuntu have them as ${packages}; install those of your system, then start again.`);
  return lines;
}
