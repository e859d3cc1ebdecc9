// The kernel of OpenBLAS, and what is left of its variable in the environment.
const { info } = require('cgfac');

console.log(info().blas.core, process.env.OPENBLAS_CORETYPE ?? 'unset');
