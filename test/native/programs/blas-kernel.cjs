// The kernel of OpenBLAS, and what is left of its variable in the environment; or why the addon was not loaded.
try {
  const { info } = require('cgfac');
  console.log(info().blas.core, process.env.OPENBLAS_CORETYPE ?? 'unset');
} catch (error) {
  console.log(error.code, error.message);
}
