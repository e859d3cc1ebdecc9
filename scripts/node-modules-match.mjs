// Exits with 0 when node_modules holds what package-lock.json asks for, else with 1. npm notes what it installed in
// node_modules/.package-lock.json, as the last act of an installation; packages for other platforms are left out there.
import { existsSync, readFileSync } from 'node:fs';

const root = new URL('../', import.meta.url);
const packagesOf = (file) => JSON.parse(readFileSync(new URL(file, root), 'utf8')).packages;

function matches() {
  if (!existsSync(new URL('node_modules/.package-lock.json', root))) return false;
  const wanted = packagesOf('package-lock.json');
  const installed = packagesOf('node_modules/.package-lock.json');
  const asWanted = ([path, { version, integrity, optional }]) => {
    const found = installed[path];
    if (!found) return optional === true;
    return (
      found.version === version && found.integrity === integrity && existsSync(new URL(`${path}/package.json`, root))
    );
  };
  return (
    Object.entries(wanted)
      .filter(([path]) => path !== '')
      .every(asWanted) && Object.keys(installed).every((path) => path in wanted)
  );
}

process.exitCode = matches() ? 0 : 1;
