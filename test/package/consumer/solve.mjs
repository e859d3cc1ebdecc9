import { createRequire } from 'node:module';
import * as cgfac from 'cgfac';
import solveGolden from './solve-golden.cjs';

const [directory, ...names] = process.argv.slice(2);
const results = {};
for (const name of names) results[name] = await solveGolden(cgfac, directory, name);
const sameClass = createRequire(import.meta.url)('cgfac').CgfacError === cgfac.CgfacError;
console.log(JSON.stringify({ info: cgfac.info(), exports: Object.keys(cgfac).sort(), sameClass, results }));
