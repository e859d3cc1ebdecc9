// The process leaves within a solve; in the end it says when it left, and what a whole solve takes.
const { solver } = require('./long-solve.cjs');

(async () => {
  const { solve, milliseconds } = await solver(process.argv[2]);
  solve().catch(() => {});
  setTimeout(() => {
    console.log(JSON.stringify({ left: Date.now(), milliseconds }));
    process.exit(0);
  }, milliseconds / 6);
})();
