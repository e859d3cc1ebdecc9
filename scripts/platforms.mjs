// The platforms that releases have a binary for. That of `own` is in the package itself, each other one in a package
// `@cgfac/NAME`, with its system, its processor and its C library, which npm looks at; the latter is in the names of
// the addons, too.
export const platforms = [
  { name: 'linux-x64', os: 'linux', cpu: 'x64', libc: 'glibc', own: true },
  { name: 'linux-arm64', os: 'linux', cpu: 'arm64', libc: 'glibc' },
  { name: 'linuxmusl-x64', os: 'linux', cpu: 'x64', libc: 'musl' },
  { name: 'linuxmusl-arm64', os: 'linux', cpu: 'arm64', libc: 'musl' },
  { name: 'darwin-arm64', os: 'darwin', cpu: 'arm64' },
  { name: 'darwin-x64', os: 'darwin', cpu: 'x64' },
  { name: 'win32-x64', os: 'win32', cpu: 'x64' },
];

/** The addons of a platform, below a folder of prebuilt ones; that which calls MPI is not for Windows. */
export function addonsOf({ os, cpu, libc }) {
  const end = libc === undefined ? '.node' : `.${libc}.node`;
  const names = os === 'win32' ? ['cgfac'] : ['cgfac', 'mpi/cgfac_mpi'];
  return names.map((name) => `${os}-${cpu}/${name}${end}`);
}
