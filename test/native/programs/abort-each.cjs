// node abort-each.cjs ROUNDS: a call of each method is aborted, sooner or later, and made again: it gives what it would
// have given.
const { methodNames, solvers } = require('./long-solve.cjs');

const rounds = Number(process.argv[2]);
const bytes = ({ x }) => Buffer.from(x.buffer);
const soon = (round) => new Promise((resolve) => (round % 2 === 0 ? setImmediate(resolve) : setTimeout(resolve, 1)));

(async () => {
  const solver = solvers(90);
  for (const name of methodNames) {
    const faults = new Set();
    for (let round = 0; round < rounds; round++) {
      const expected = bytes(solver(name).solveSync());
      const { solve, solveAgain } = solver(name);
      const controller = new AbortController();
      const call = solve({ signal: controller.signal }).then(
        () => 'solved',
        (error) => error.name,
      );
      if (round % 4 > 0) await soon(round);
      controller.abort();
      const end = await call;
      if (end !== 'AbortError' && end !== 'solved') faults.add(end);
      if (!bytes(await solveAgain()).equals(expected)) faults.add('other bits after an abort');
    }
    console.log(`${name}: ${[...faults].join(', ') || `${rounds} times`}`);
  }
})();
