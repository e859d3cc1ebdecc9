// How soon a solve ends once it is aborted by its signal, for every method: as a share of what it takes in all, which
// depends on the machine.
const { share, solver } = require('./long-solve.cjs');

(async () => {
  for (const name of process.argv.slice(2)) {
    const { solve, milliseconds } = await solver(name);
    const controller = new AbortController();
    const settled = solve({ signal: controller.signal }).then(
      () => 'solved',
      (error) => error.name,
    );
    await new Promise((resolve) => setTimeout(resolve, milliseconds / 6));
    const start = performance.now();
    controller.abort();
    const end = await settled;
    console.log(name, end, share(performance.now() - start, milliseconds));
  }
})();
