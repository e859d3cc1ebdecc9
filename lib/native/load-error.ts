/** What kept the addon from being loaded, told so that its cause can be mended. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CgfacError } from '../base/errors';
import { platformPackages } from './platforms';

/** Whether a folder is that of the package: code that was bundled looks beside the bundle instead. */
function isPackage(folder: string): boolean {
  try {
    return (JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { name?: unknown }).name === 'cgfac';
  } catch {
    return false;
  }
}

/** Whether the permission model of Node keeps this process from reading a folder. */
function isForbidden(folder: string): boolean {
  return process.permission?.has('fs.read', folder) === false;
}

const textOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause)).trim();
const codeOf = (cause: unknown): unknown => (cause as { code?: unknown } | null)?.code;

/** What went wrong, as the end of a sentence that names the folder that was looked in. */
function reasonOf(folder: string, cause: unknown): string {
  if (codeOf(cause) === 'ERR_DLOPEN_DISABLED') {
    return (
      'this process may not load addons: it was started with --no-addons, or with --permission and without ' +
      '--allow-addons'
    );
  }
  if (isForbidden(folder)) {
    return 'this process may not read that folder: it was started with --permission and without --allow-fs-read for it';
  }
  if (!isPackage(folder)) {
    return (
      'that is not the folder of the package. Where its code was bundled (esbuild, webpack, Rollup), mark cgfac as ' +
      'external to the bundle, because an addon cannot be part of one, and install it where the bundle runs'
    );
  }
  if (codeOf(cause) === 'ERR_DLOPEN_FAILED') {
    return `the system refused it: ${textOf(cause)}. If the binary is not one for this system, ${remedy}`;
  }
  const platform = `${process.platform}-${process.arch}, Node ${process.versions.node}`;
  return `there is none for ${platform}. ${binariesOf(folder)}, and ${packagesHere()}; ${remedy}`;
}

const remedy =
  '`npx cgfac build` builds one of the sources in the package (it takes CMake, a compiler and OpenBLAS, and names ' +
  'what is missing)';

/** What of the packages for this platform, which npm installs beside the package, is there: nothing. */
function packagesHere(): string {
  return `${platformPackages().join(' or ')}, which npm installs beside it where there is one, is not here`;
}

/** The platforms that the package has a binary for, as a sentence without its end. */
function binariesOf(folder: string): string {
  try {
    const platforms = readdirSync(join(folder, 'prebuilds')).sort();
    if (platforms.length > 0) return `The package has binaries for ${platforms.join(', ')} (glibc 2.34 or newer)`;
  } catch {
    // no such folder, as in a checkout
  }
  return 'The package has no binary';
}

/** The error of an addon that could not be loaded from a folder, which code that runs in another took for its own. */
export function loadError(folder: string, code: string, cause: unknown): CgfacError {
  const message = `Expected the native addon of cgfac in ${folder} (from ${code}), but ${reasonOf(folder, cause)}`;
  return new CgfacError('ERR_CGFAC_NATIVE_LOAD', message, { cause });
}
