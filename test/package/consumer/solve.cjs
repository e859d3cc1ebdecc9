const cgfac = require('cgfac');
const solveGolden = require('./solve-golden.cjs');

async function main([directory, ...names]) {
  const results = {};
  for (const name of names) results[name] = await solveGolden(cgfac, directory, name);
  console.log(JSON.stringify({ info: cgfac.info(), exports: Object.keys(cgfac).sort(), results }));
}

main(process.argv.slice(2));
