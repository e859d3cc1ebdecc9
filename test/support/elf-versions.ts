/** What a shared library of Linux asks of the libraries that the system has. */
import { spawnSync } from 'node:child_process';

/**
 * The newest version of each library that may be asked for, as the oldest systems have it that are supported: RHEL 9
 * and Amazon Linux 2023 (glibc 2.34), Ubuntu 22.04 (2.35), Debian 12 (2.36). GCC_… is of libgcc_s, whose 4.2.0 is of
 * 2007. Of the C++ library (GLIBCXX_…, CXXABI_…) nothing may be asked for: it is linked in.
 */
const newest: Readonly<Record<string, string>> = { GLIBC: '2.34', GCC: '4.2.0' };

/** The versions that a file needs, 'GLIBC_2.34'. */
export function versionsNeeded(file: string): string[] {
  const { status, stdout, stderr, error } = spawnSync('readelf', ['--version-info', '--wide', file], {
    encoding: 'utf8',
  });
  if (error) throw error;
  const needs = stdout.slice(stdout.indexOf('Version needs section'));
  const found = [...needs.matchAll(/Name: ([A-Z]+_[\d.]+)/g)].map(([, version = '']) => version);
  if (status !== 0 || found.length === 0) throw new Error(`readelf found no versions in ${file}: ${stderr}`);
  return [...new Set(found)];
}

const isNewer = (version: string, other: string) => version.localeCompare(other, 'en', { numeric: true }) > 0;

/** The versions among some that a supported system may lack. */
export function aboveFloor(versions: readonly string[]): string[] {
  return versions.filter((each) => {
    const [library = '', version = ''] = each.split('_');
    const limit = newest[library];
    return limit === undefined || isNewer(version, limit);
  });
}
