// A solve of one layer whose answer is known, from a CommonJS module; prints that it works.
const cgfac = require('cgfac');
require('./solve-identity.cjs')(cgfac).then(console.log);
