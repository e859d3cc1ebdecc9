// The number of pool threads, after the addon was loaded in the main thread and, with `worker`, in a worker_thread;
// `confined`: of a process that may run on one processor.
const { spawnSync } = require('node:child_process');
const { readFileSync } = require('node:fs');
const { Worker } = require('node:worker_threads');

if (process.argv[2] === 'confined') {
  const [first] = /Cpus_allowed_list:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8')).slice(1);
  spawnSync('taskset', ['-c', '-p', first, String(process.pid)]);
}
const { info } = require('cgfac');
const tell = () => console.log(info().threads);
if (process.argv[2] === 'worker') new Worker("require('cgfac').info()", { eval: true }).once('exit', tell);
else tell();
