// How soon a solve of 2000 × 2000 on 2000 rows ends once it is aborted, for each method, early and late in it.
const { methodNames, solvers, told, waited } = require('./long-solve.cjs');

const after = [10, 60, 500]; // milliseconds: a solve with a panel at hand may take less than the second

(async () => {
  const solver = solvers(2000);
  for (const name of methodNames) {
    const waits = [];
    let aborted = 0;
    for (const milliseconds of after) {
      const controller = new AbortController();
      const call = solver(name)
        .solve({ signal: controller.signal })
        .then(
          () => 'solved',
          (error) => error.name,
        );
      await new Promise((resolve) => setTimeout(resolve, milliseconds));
      controller.abort();
      waits.push(await waited(() => call));
      if ((await call) === 'AbortError') aborted++; // a quick method is done before the later one
    }
    console.log(`${name}: ${aborted === 0 ? 'never aborted' : told(Math.max(...waits))}`);
    if (process.argv[2] === 'figures') console.log(waits.map(Math.round).join(' ms, '), 'ms');
  }
})();
