declare module 'node-gyp-build' {
  /** Loads the addon of the package in `directory`: build/Release first, then the prebuilt binary of this platform. */
  export default function loadAddon(directory: string): unknown;
}
