// A solve of one layer whose answer is known, from an ES module; prints that it works.
import { info, LayerPreconditioner } from 'cgfac';
import solveIdentity from './solve-identity.cjs';

console.log(await solveIdentity({ info, LayerPreconditioner }));
