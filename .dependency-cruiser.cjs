/**
 * The arrows: adapters (lib/tfjs) → lib/* → lib/native → the addon. Nothing points the other way.
 * @type {import('dependency-cruiser').IConfiguration}
 */
module.exports = {
  forbidden: [
    {
      name: 'no-cycle',
      comment: 'Files that need each other are one file.',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    {
      name: 'adapters-are-an-edge',
      comment: 'Nothing in lib outside an adapter knows of that adapter.',
      severity: 'error',
      from: { path: '^lib/', pathNot: '^lib/tfjs/' },
      to: { path: '^lib/tfjs/' },
    },
    {
      name: 'tensorflow-only-in-its-adapter',
      severity: 'error',
      from: { path: '^lib/', pathNot: '^lib/tfjs/' },
      to: { path: 'node_modules/@tensorflow/' },
    },
    {
      name: 'adapters-use-the-facade',
      comment: 'An adapter reaches the addon through the facade only.',
      severity: 'error',
      from: { path: '^lib/tfjs/' },
      to: { path: ['^lib/native/', 'node_modules/node-gyp-build/'] },
    },
    {
      name: 'one-loader',
      comment: 'Only lib/native loads the addon.',
      severity: 'error',
      from: { path: '^(lib|examples)/', pathNot: '^lib/native/' },
      to: { path: ['node_modules/node-gyp-build/', '\\.node$'] },
    },
    {
      name: 'native-is-a-leaf',
      comment: 'The loader and the declarations of the addon know no class of the facade.',
      severity: 'error',
      from: { path: '^lib/native/' },
      to: { path: '^lib/', pathNot: '^lib/(base|native)/' },
    },
    {
      name: 'tensorflow-internals-only-in-tape',
      comment: 'Only lib/tfjs/tape/tape.ts may reach beneath the public entry of a TensorFlow.js package.',
      severity: 'error',
      from: { path: '^(lib|examples)/', pathNot: '^lib/tfjs/tape/tape\\.ts$' },
      to: {
        path: 'node_modules/@tensorflow/',
        pathNot:
          'node_modules/@tensorflow/[^/]+/dist/(index\\.(d\\.ts|js)|tf-[a-z-]+(\\.node)?(\\.min)?\\.js|[^/]+\\.wasm)$',
      },
    },
    {
      name: 'lib-stands-alone',
      comment: 'What is shipped uses nothing that is not shipped.',
      severity: 'error',
      from: { path: '^lib/' },
      to: { path: '^(test|examples|bench|scripts)/' },
    },
    {
      name: 'lib-needs-no-dev-dependency',
      severity: 'error',
      from: { path: '^lib/' },
      to: { dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'], dependencyTypesNot: ['npm-peer', 'type-only'] },
    },
    {
      name: 'examples-are-a-users-programs',
      comment: 'An example imports the package by its name.',
      severity: 'error',
      from: { path: '^examples/' },
      to: { path: '^(lib|test|bench|scripts)/', dependencyTypesNot: ['aliased', 'aliased-tsconfig'] },
    },
    {
      name: 'no-unresolvable',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'require', 'node', 'default', 'types'],
    },
  },
};
