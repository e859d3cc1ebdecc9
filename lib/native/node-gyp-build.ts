/** What this package uses of node-gyp-build. */
export interface Loader {
  /**
   * Loads the addon of the package in `directory`: build/Release first, then the prebuilt binary of this platform. For
   * tests, `CGFAC_PREBUILD` in the environment names another folder that has a build/Release or build/Debug.
   */
  (directory: string): unknown;
  /** The file that would be loaded. */
  resolve(directory: string): string;
}
