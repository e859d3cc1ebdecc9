// Loads the addon, then may start no thread more, or so many (`ulimit -u`), and solves on 6 threads. Root is exempt
// from that limit, and becomes somebody else first.
const { spawn } = require('node:child_process');
const { once } = require('node:events');
const { readdirSync } = require('node:fs');
const { brief } = require('./layer.cjs');
const { info, setThreads } = require('cgfac');

const more = Number(process.argv[2]);
const bytes = ({ x }) => Buffer.from(x.buffer);
const solved = async () => {
  const { preconditioner, vector } = brief(2);
  const expected = bytes(preconditioner.preconditionSync(vector));
  const calls = [1, 2, 3].map(() => brief(2).preconditioner.precondition(vector));
  return (await Promise.all(calls)).every((result) => bytes(result).equals(expected)) ? 'same' : 'other';
};
(async () => {
  // started before there is a limit, which binds this process alone
  const script = `while read n; do prlimit --pid ${process.pid} --nproc=$n: && echo limited; done`;
  const somebody = process.getuid() === 0 ? { uid: 50_000 + (process.pid % 10_000) } : {};
  const limiter = spawn('sh', ['-c', script], { stdio: ['pipe', 'pipe', 'inherit'], ...somebody });
  const limit = (count) => {
    limiter.stdin.write(`${count}\n`);
    return once(limiter.stdout, 'data');
  };
  if (somebody.uid) process.setuid(somebody.uid);
  await limit(more === 0 ? 1 : readdirSync('/proc/self/task').length + 1 + more); // 1: the limiter
  setThreads(6);
  console.log(`${info().threads} threads, ${info().threadsRefused} refused, ${await solved()} results`);
  await limit(4096);
  setThreads(6);
  console.log(`${info().threads} threads, ${info().threadsRefused} refused`);
  limiter.stdin.end();
})();
