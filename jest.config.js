/** @type {import('jest').Config} */
module.exports = {
  testEnvironment: 'node',
  roots: ['<rootDir>/test'],
  testMatch: ['<rootDir>/test/**/*.test.ts'],
  // Pages that a browser opens are made first: npm run test:pages.
  testPathIgnorePatterns: ['/node_modules/', '<rootDir>/test/pages/'],
  // Tests name the package as a user does and get its sources.
  moduleNameMapper: {
    '^cgfac$': '<rootDir>/lib/index.ts',
    '^cgfac/tfjs$': '<rootDir>/lib/tfjs/index.ts',
    '^cgfac/mpi$': '<rootDir>/lib/mpi/index.ts',
  },
  transform: {
    '^.+\\.m?ts$': [
      '@swc/jest',
      {
        jsc: { parser: { syntax: 'typescript' }, target: 'es2022' },
        module: { type: 'commonjs' },
        sourceMaps: 'inline',
      },
    ],
  },
  // A test that outlives its time is a failure to look into, not one to start again.
  testTimeout: 30_000,
  // Jest's own choice on two cores is one; what takes long here are programs that tests start and wait for.
  maxWorkers: 2,
};
