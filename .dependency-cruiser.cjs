/**
 * The rooms of lib, and what each of them may import of lib besides itself: adapters → adapter-kit → network → layer →
 * native → base, mpi → native → base, and inside lib/tfjs optimizer → step → capture, heads, saving → kinds → tape →
 * kernels. A room includes its folders but for those that are rooms themselves. Nothing points the other way.
 */
const rooms = {
  'lib/base': [],
  'lib/native': ['lib/base'],
  'lib/kernels': ['lib/native', 'lib/base'],
  'lib/layer': ['lib/native', 'lib/base'],
  'lib/network': ['lib/layer', 'lib/native', 'lib/base'],
  // not all of native, which loads the addon: a command has to run where that cannot be loaded
  'lib/cli': ['lib/index', 'lib/native/folder', 'lib/base'],
  'lib/index': ['lib/network', 'lib/layer', 'lib/native', 'lib/base'],
  'lib/adapter-kit': ['lib/network', 'lib/layer', 'lib/kernels', 'lib/base'],
  // not the adapter-kit: to import it is to load the addon of the core, and to import this one loads nothing
  'lib/mpi': ['lib/native', 'lib/base'],
  'lib/tfjs/tape': ['lib/tfjs/kernels', 'lib/adapter-kit'],
  'lib/tfjs/kinds': ['lib/tfjs/tape', 'lib/adapter-kit'],
  'lib/tfjs/heads': ['lib/tfjs/tape', 'lib/adapter-kit'],
  'lib/tfjs/saving': ['lib/tfjs/kinds', 'lib/tfjs/tape', 'lib/adapter-kit'],
  'lib/tfjs/capture': ['lib/tfjs/heads', 'lib/tfjs/kinds', 'lib/tfjs/tape', 'lib/adapter-kit'],
  'lib/tfjs/options': ['lib/adapter-kit'],
  'lib/tfjs/step': [
    'lib/tfjs/options',
    'lib/tfjs/capture',
    'lib/tfjs/saving',
    'lib/tfjs/kinds',
    'lib/tfjs/tape',
    'lib/adapter-kit',
  ],
  'lib/tfjs/kernels': ['lib/adapter-kit'],
  'lib/tfjs/optimizer': [
    'lib/tfjs/step',
    'lib/tfjs/options',
    'lib/tfjs/capture',
    'lib/tfjs/kinds',
    'lib/tfjs/tape',
    'lib/adapter-kit',
  ],
  'lib/tfjs/callbacks': ['lib/tfjs/optimizer', 'lib/tfjs/step', 'lib/adapter-kit'],
  'lib/tfjs/index': [
    'lib/tfjs/callbacks',
    'lib/tfjs/optimizer',
    'lib/tfjs/step',
    'lib/tfjs/options',
    'lib/tfjs/kernels',
    'lib/tfjs/tape',
    'lib/adapter-kit',
  ],
};

/** A pattern of the files of rooms, which are folders or files. */
const filesOf = (names) => `^(${names.map((name) => name.replace('.', '\\.')).join('|')})(/|\\.m?ts$)`;

/** One rule for each room: it imports itself and what is listed. */
const arrows = Object.entries(rooms).map(([room, allowed]) => ({
  name: `arrows-of-${room.replaceAll('/', '-')}`,
  comment: `Of lib, ${room} imports ${allowed.join(', ') || 'nothing'}.`,
  severity: 'error',
  from: { path: filesOf([room]) },
  to: { path: '^lib/', pathNot: filesOf([room, ...allowed]) },
}));

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    ...arrows,
    {
      name: 'every-room-is-listed',
      comment: 'A new folder of lib says what it may import.',
      severity: 'error',
      from: { path: '^lib/', pathNot: filesOf(Object.keys(rooms)) },
      to: { path: '^lib/' },
    },
    {
      name: 'no-cycle',
      comment: 'Files that need each other are one file.',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    {
      name: 'tensorflow-only-in-its-adapter',
      severity: 'error',
      from: { path: '^lib/', pathNot: '^lib/tfjs/' },
      to: { path: 'node_modules/@tensorflow/' },
    },
    {
      name: 'one-loader',
      comment: 'Only lib/native loads the addons.',
      severity: 'error',
      from: { path: '^(lib|examples)/', pathNot: '^lib/native/' },
      to: { path: ['node_modules/node-gyp-build/', '\\.node$'] },
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
      name: 'tests-of-an-adapter-see-what-it-sees',
      severity: 'error',
      from: { path: '^test/tfjs/' },
      to: { path: '^lib/', pathNot: filesOf(['lib/tfjs', 'lib/adapter-kit']) },
    },
    {
      name: 'tests-of-lib-know-no-adapter',
      severity: 'error',
      from: { path: '^test/lib/' },
      to: { path: '^lib/(tfjs|mpi)/' },
    },
    {
      name: 'tests-of-mpi-see-what-users-see',
      severity: 'error',
      from: { path: '^test/mpi/' },
      to: { path: '^lib/', pathNot: filesOf(['lib/mpi', 'lib/index', 'lib/tfjs/index']) },
    },
    {
      name: 'other-tests-use-the-public-face',
      comment:
        'A test outside test/lib, test/tfjs and test/mpi imports what a user or an adapter does, or test/support.',
      severity: 'error',
      from: { path: '^test/', pathNot: '^test/(lib|tfjs|mpi)/' },
      to: { path: '^lib/', pathNot: filesOf(['lib/index', 'lib/tfjs/index', 'lib/mpi/index', 'lib/adapter-kit']) },
    },
    {
      name: 'benchmarks-use-the-public-face',
      comment: 'bench/suites/solver/solve.ts alone measures beside the solvers what only the addon has: their floor.',
      severity: 'error',
      from: { path: '^bench/', pathNot: '^bench/suites/solver/solve\\.ts$' },
      to: { path: '^lib/', pathNot: filesOf(['lib/index', 'lib/tfjs/index']) },
    },
    {
      name: 'data-sets-stand-alone',
      severity: 'error',
      from: { path: '^datasets/' },
      to: { path: '^(lib|test|bench|examples|scripts)/' },
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
