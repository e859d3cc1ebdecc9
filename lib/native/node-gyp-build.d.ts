declare module 'node-gyp-build' {
  /**
   * Loads the addon of the package in `directory`: build/Release first, then the prebuilt binary of this platform. For
   * tests, `CGFAC_PREBUILD` in the environment names another folder that has a build/Release or build/Debug.
   */
  export default function loadAddon(directory: string): unknown;
}
