// node check-types.cjs PATH-OF-TYPESCRIPT: compiles the types-* files of this folder as a project of each way to find
// modules would, and prints what is wrong with them or with the types of cgfac. What is wrong with the types of others
// is theirs: those of TensorFlow.js 4.22 and of the browser in TypeScript 6 contradict each other.
const { join } = require('node:path');
const ts = require(process.argv[2]);

const { ModuleKind, ModuleResolutionKind } = ts;
const ways = {
  node10: [ModuleKind.CommonJS, ModuleResolutionKind.Node10, ['types-node10.ts']],
  node16: [
    ModuleKind.Node16,
    ModuleResolutionKind.Node16,
    ['types-core.mts', 'types-core.cts', 'types-tfjs.mts', 'types-tfjs.cts'],
  ],
  bundler: [ModuleKind.ES2022, ModuleResolutionKind.Bundler, ['types-core.mts', 'types-tfjs.mts']],
};

/** The types of the language and the browser are the same files each time; they are read once. */
const libraries = new Map();

function hostOf(options) {
  const host = ts.createCompilerHost(options);
  const read = host.getSourceFile.bind(host);
  host.getSourceFile = (name, ...rest) => {
    if (!/[\\/]lib\.[^\\/]*\.d\.ts$/.test(name)) return read(name, ...rest);
    if (!libraries.has(name)) libraries.set(name, read(name, ...rest));
    return libraries.get(name);
  };
  return host;
}

const isOfOthers = (file) => /node_modules/.test(file.fileName) && !/node_modules[\\/]cgfac[\\/]/.test(file.fileName);

function findingsOf([module, moduleResolution, files]) {
  const options = {
    module,
    moduleResolution,
    target: ts.ScriptTarget.ES2022,
    lib: ['lib.es2022.d.ts', 'lib.dom.d.ts'],
    types: [],
    strict: true,
    exactOptionalPropertyTypes: true,
    skipLibCheck: false,
    // the compiler's own library is not what is tested
    skipDefaultLibCheck: true,
    noEmit: true,
    ...(Number(ts.versionMajorMinor) >= 6 ? { ignoreDeprecations: '6.0' } : {}),
  };
  const roots = files.map((file) => join(__dirname, file));
  const program = ts.createProgram(roots, options, hostOf(options));
  return ts
    .getPreEmitDiagnostics(program)
    .filter(({ file }) => file === undefined || !isOfOthers(file))
    .map(
      ({ code, file, messageText }) =>
        `${file?.fileName}: TS${code} ${ts.flattenDiagnosticMessageText(messageText, ' ')}`,
    );
}

console.log(JSON.stringify(Object.fromEntries(Object.entries(ways).map(([way, what]) => [way, findingsOf(what)]))));
