// The platforms that releases have a binary for. That of `own` is in the package itself, each other one in a
// package `@cgfac/NAME` of its own, whose system, processor and C library npm looks at. `folder` and `tag` are where prebuildify
// puts the addons, and what it calls them.
export const platforms = [
  { name: 'linux-x64', os: 'linux', cpu: 'x64', libc: 'glibc', folder: 'linux-x64', tag: '.glibc', own: true },
  { name: 'linux-arm64', os: 'linux', cpu: 'arm64', libc: 'glibc', folder: 'linux-arm64', tag: '.glibc' },
  { name: 'linuxmusl-x64', os: 'linux', cpu: 'x64', libc: 'musl', folder: 'linux-x64', tag: '.musl' },
  { name: 'linuxmusl-arm64', os: 'linux', cpu: 'arm64', libc: 'musl', folder: 'linux-arm64', tag: '.musl' },
  { name: 'darwin-arm64', os: 'darwin', cpu: 'arm64', folder: 'darwin-arm64', tag: '' },
  { name: 'darwin-x64', os: 'darwin', cpu: 'x64', folder: 'darwin-x64', tag: '' },
  { name: 'win32-x64', os: 'win32', cpu: 'x64', folder: 'win32-x64', tag: '' },
];

/** The addons of a platform, below a folder of prebuilt ones. */
export const addonsOf = ({ folder, tag }) => [`${folder}/cgfac${tag}.node`, `${folder}/mpi/cgfac_mpi${tag}.node`];
