// node exit-methods.cjs N MILLISECONDS METHOD…: the process leaves while a call of each method is pending, so
// long after they were made, and says when that was.
const { solvers } = require('./long-solve.cjs');

const [n, milliseconds, ...names] = process.argv.slice(2);
const solver = solvers(Number(n));
for (const name of names) {
  solver(name)
    .solve()
    .catch(() => {});
}
const leave = () => {
  console.log('left', Date.now());
  process.exit(0);
};
if (milliseconds === '0') leave();
setTimeout(leave, Number(milliseconds));
