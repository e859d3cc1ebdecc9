// LAPACK's decompositions take seconds in one call, and know of no flag that ends them. What they call of BLAS and of
// each other takes milliseconds: the linker puts the functions below in its place, which do nothing once the flag of
// the thread is set, so that the decomposition comes to its end with numbers that nobody reads. Its loops are bounded
// whatever the numbers are; lapack.cpp throws Cancelled after it.
#include <cblas.h>

#include <cstddef>

#include "core/threads/cancel.h"

// NOLINTBEGIN(bugprone-reserved-identifier,readability-identifier-naming): the names are the linker's
extern "C" {
using Letter = const char*;
using Integer = const blasint*;
using Length = std::size_t;  // of a Letter, by value at the end

void __real_dgemm_(Letter transa, Letter transb, Integer m, Integer n, Integer k, const double* alpha, const double* a,
                   Integer lda, const double* b, Integer ldb, const double* beta, double* c, Integer ldc,
                   Length transa_length, Length transb_length);
void __real_sgemm_(Letter transa, Letter transb, Integer m, Integer n, Integer k, const float* alpha, const float* a,
                   Integer lda, const float* b, Integer ldb, const float* beta, float* c, Integer ldc,
                   Length transa_length, Length transb_length);
void __real_dsymv_(Letter uplo, Integer n, const double* alpha, const double* a, Integer lda, const double* x,
                   Integer incx, const double* beta, double* y, Integer incy, Length uplo_length);
void __real_ssymv_(Letter uplo, Integer n, const float* alpha, const float* a, Integer lda, const float* x,
                   Integer incx, const float* beta, float* y, Integer incy, Length uplo_length);
void __real_dsyr2k_(Letter uplo, Letter trans, Integer n, Integer k, const double* alpha, const double* a, Integer lda,
                    const double* b, Integer ldb, const double* beta, double* c, Integer ldc, Length uplo_length,
                    Length trans_length);
void __real_ssyr2k_(Letter uplo, Letter trans, Integer n, Integer k, const float* alpha, const float* a, Integer lda,
                    const float* b, Integer ldb, const float* beta, float* c, Integer ldc, Length uplo_length,
                    Length trans_length);
void __real_dlaed4_(Integer n, Integer i, const double* d, const double* z, double* delta, const double* rho,
                    double* root, blasint* info);
void __real_slaed4_(Integer n, Integer i, const float* d, const float* z, float* delta, const float* rho, float* root,
                    blasint* info);
void __real_dlauum_(Letter uplo, Integer n, double* a, Integer lda, blasint* info, Length uplo_length);

void __wrap_dgemm_(Letter transa, Letter transb, Integer m, Integer n, Integer k, const double* alpha, const double* a,
                   Integer lda, const double* b, Integer ldb, const double* beta, double* c, Integer ldc,
                   Length transa_length, Length transb_length) {
  if (!cgfac::cancelled())
    __real_dgemm_(transa, transb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc, transa_length, transb_length);
}
void __wrap_sgemm_(Letter transa, Letter transb, Integer m, Integer n, Integer k, const float* alpha, const float* a,
                   Integer lda, const float* b, Integer ldb, const float* beta, float* c, Integer ldc,
                   Length transa_length, Length transb_length) {
  if (!cgfac::cancelled())
    __real_sgemm_(transa, transb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc, transa_length, transb_length);
}
void __wrap_dsymv_(Letter uplo, Integer n, const double* alpha, const double* a, Integer lda, const double* x,
                   Integer incx, const double* beta, double* y, Integer incy, Length uplo_length) {
  if (cgfac::cancelled()) return;
  __real_dsymv_(uplo, n, alpha, a, lda, x, incx, beta, y, incy, uplo_length);
}
void __wrap_ssymv_(Letter uplo, Integer n, const float* alpha, const float* a, Integer lda, const float* x,
                   Integer incx, const float* beta, float* y, Integer incy, Length uplo_length) {
  if (cgfac::cancelled()) return;
  __real_ssymv_(uplo, n, alpha, a, lda, x, incx, beta, y, incy, uplo_length);
}
void __wrap_dsyr2k_(Letter uplo, Letter trans, Integer n, Integer k, const double* alpha, const double* a, Integer lda,
                    const double* b, Integer ldb, const double* beta, double* c, Integer ldc, Length uplo_length,
                    Length trans_length) {
  if (!cgfac::cancelled())
    __real_dsyr2k_(uplo, trans, n, k, alpha, a, lda, b, ldb, beta, c, ldc, uplo_length, trans_length);
}
void __wrap_ssyr2k_(Letter uplo, Letter trans, Integer n, Integer k, const float* alpha, const float* a, Integer lda,
                    const float* b, Integer ldb, const float* beta, float* c, Integer ldc, Length uplo_length,
                    Length trans_length) {
  if (!cgfac::cancelled())
    __real_ssyr2k_(uplo, trans, n, k, alpha, a, lda, b, ldb, beta, c, ldc, uplo_length, trans_length);
}
void __wrap_dlaed4_(Integer n, Integer i, const double* d, const double* z, double* delta, const double* rho,
                    double* root, blasint* info) {
  // as where a root is not found: the merge it belongs to is given up
  *info = 1;
  if (cgfac::cancelled()) return;
  __real_dlaed4_(n, i, d, z, delta, rho, root, info);
}
void __wrap_slaed4_(Integer n, Integer i, const float* d, const float* z, float* delta, const float* rho, float* root,
                    blasint* info) {
  // as where a root is not found: the merge it belongs to is given up
  *info = 1;
  if (cgfac::cancelled()) return;
  __real_slaed4_(n, i, d, z, delta, rho, root, info);
}
void __wrap_dlauum_(Letter uplo, Integer n, double* a, Integer lda, blasint* info, Length uplo_length) {
  if (cgfac::cancelled()) return;
  __real_dlauum_(uplo, n, a, lda, info, uplo_length);
}
}
// NOLINTEND(bugprone-reserved-identifier,readability-identifier-naming)
