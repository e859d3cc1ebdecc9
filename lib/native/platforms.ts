/** The packages that bring addons for platforms whose addons are not in the package itself. */

/** The packages that may fit this process: of Linux one for each C library, of which npm installs the right one. */
export function platformPackages(): readonly string[] {
  const { platform, arch } = process;
  const systems = platform === 'linux' ? ['linux', 'linuxmusl'] : [platform];
  return systems.map((system) => `@cgfac/${system}-${arch}`);
}
