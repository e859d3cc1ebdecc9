// What loading the addon, and a solve, change of the environment, which child processes get.
const { execFileSync } = require('node:child_process');

const before = { ...process.env };
const { info } = require('cgfac');
const { brief } = require('./layer.cjs');
const { preconditioner, vector } = brief();
preconditioner.preconditionSync(vector);
const names = Object.keys({ ...before, ...process.env }).filter((name) => before[name] !== process.env[name]);
const passedOn = execFileSync('sh', ['-c', 'printf %s "$OPENBLAS_NUM_THREADS"'], { encoding: 'utf8' });
const { threads } = info().blas;
console.log(`changed: ${names.join(', ') || 'nothing'}; a child has: ${passedOn}; BLAS threads: ${threads}`);
