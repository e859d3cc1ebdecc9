// May take so many megabytes of address space more (`ulimit -v`), and then loads the addon, and solves by every method,
// several calls at once.
const { spawnSync } = require('node:child_process');
const { readFileSync } = require('node:fs');
const { availableParallelism } = require('node:os');

const megabytes = Number(process.argv[2]);
const kilobytes = Number(/VmSize:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1]);
const bytes = (kilobytes + megabytes * 1024) * 1024;
spawnSync('prlimit', ['--pid', String(process.pid), `--as=${bytes}`]);
(async () => {
  try {
    const { brief } = require('./layer.cjs');
    const { preconditioner, vector } = brief();
    const calls = Array.from({ length: 2 * availableParallelism() }, () => preconditioner.precondition(vector));
    const { reason } = preconditioner === undefined ? {} : (await Promise.all(calls))[0];
    console.log('solved', reason);
  } catch (error) {
    console.log(error.code ?? error.stack);
  }
})();
