#include "core/linalg/lapack.h"

#include <cblas.h>

#include <algorithm>
#include <string>

#include "core/base/error.h"
#include "core/linalg/blas_arguments.h"
#include "core/threads/cancel.h"

extern "C" {
// NOLINTBEGIN(readability-identifier-naming): the names are the library's
// LAPACK as OpenBLAS's static library has it; its headers are another package. Fortran: everything by address, and the
// lengths of strings by value at the end.
void dsyevd_(const char* jobz, const char* uplo, const blasint* n, double* a, const blasint* lda, double* w,
             double* work, const blasint* lwork, blasint* iwork, const blasint* liwork, blasint* info, std::size_t,
             std::size_t);
void ssyevd_(const char* jobz, const char* uplo, const blasint* n, float* a, const blasint* lda, float* w, float* work,
             const blasint* lwork, blasint* iwork, const blasint* liwork, blasint* info, std::size_t, std::size_t);
void dsytrd_(const char* uplo, const blasint* n, double* a, const blasint* lda, double* d, double* e, double* tau,
             double* work, const blasint* lwork, blasint* info, std::size_t);
void dorgtr_(const char* uplo, const blasint* n, double* a, const blasint* lda, const double* tau, double* work,
             const blasint* lwork, blasint* info, std::size_t);
void dstedc_(const char* compz, const blasint* n, double* d, double* e, double* z, const blasint* ldz, double* work,
             const blasint* lwork, blasint* iwork, const blasint* liwork, blasint* info, std::size_t);
void dlaed1_(const blasint* n, double* d, double* q, const blasint* ldq, blasint* indxq, const double* rho,
             const blasint* cutpnt, double* work, blasint* iwork, blasint* info);
void dpotrf_(const char* uplo, const blasint* n, double* a, const blasint* lda, blasint* info, std::size_t);
void dpotri_(const char* uplo, const blasint* n, double* a, const blasint* lda, blasint* info, std::size_t);
void dpotrs_(const char* uplo, const blasint* n, const blasint* nrhs, const double* a, const blasint* lda, double* b,
             const blasint* ldb, blasint* info, std::size_t);
// NOLINTEND(readability-identifier-naming)

// The one symbol of the Fortran run-time library that LAPACK's error messages need: result ← left + right, cut or
// padded with blanks. Defined here, the library itself is not linked.
// NOLINTNEXTLINE(bugprone-reserved-identifier,readability-identifier-naming): the name is the library's
void _gfortran_concat_string(std::size_t length, char* result, std::size_t left_length, const char* left,
                             std::size_t right_length, const char* right) {
  const std::size_t from_left = std::min(length, left_length);
  const std::size_t from_right = std::min(length - from_left, right_length);
  std::copy_n(left, from_left, result);
  std::copy_n(right, from_right, result + from_left);
  std::fill_n(result + from_left + from_right, length - from_left - from_right, ' ');
}
}

namespace cgfac::blas {
namespace {

// Row-major lower is column-major upper.
constexpr char lower_triangle = 'U';
// dsytrd and dorgtr work in blocks of 32 columns; more is of no use to them
constexpr std::size_t lapack_block = 32;

template <typename T>
void require_square(const MatrixView<T>& k) {
  require(k.rows == k.cols && k.row_major() && k.row_stride == k.cols,
          "LAPACK on a matrix that is not square, or has gaps");
}

void require_converged(blasint info) {
  throw_if_cancelled();
  if (info == 0) return;
  throw expected(ErrorCode::not_finite, "an eigendecomposition that converges", "inputs and outputGrads",
                 "none from LAPACK (" + std::to_string(info) + ")");
}

// LAPACK's integers, kept behind its first `numbers` numbers of the scratch.
template <typename T>
blasint* integers_behind(std::span<T> work, std::size_t numbers) {
  static_assert(sizeof(blasint) <= sizeof(T));
  return reinterpret_cast<blasint*>(work.data() + numbers);  // NOLINT(*-reinterpret-cast): scratch
}

void mirror_lower(MatrixView<double> k) {
  for (std::size_t i = 0; i < k.rows; ++i) {
    for (std::size_t j = i + 1; j < k.cols; ++j) k(i, j) = k(j, i);
  }
}

// dsyevd and ssyevd
constexpr std::size_t eigen_numbers(std::size_t n) {
  return 1 + (6 * n) + (2 * n * n);
}
// dstedc
constexpr std::size_t tridiagonal_eigen_numbers(std::size_t n) {
  return 1 + (4 * n) + (n * n);
}
// both
constexpr std::size_t eigen_integers(std::size_t n) {
  return 3 + (5 * n);
}
// dlaed1: its numbers; its integers are 4N, and behind them stands the order of the values
constexpr std::size_t merge_numbers(std::size_t n) {
  return (4 * n) + (n * n);
}

template <typename T, typename Solver>
void eigen_with(Solver solver, const MatrixView<T>& k, std::span<T> values, std::span<T> work) {
  require_square(k);
  require(values.size() == k.rows && work.size() >= eigen_work(k.rows), "eigen with too little room");
  const blasint n = narrow(k.rows);
  const blasint number_count = narrow(eigen_numbers(k.rows));
  const blasint integer_count = narrow(eigen_integers(k.rows));
  const char vectors = 'V';
  blasint info = 0;
  solver(&vectors, &lower_triangle, &n, k.data, &n, values.data(), work.data(), &number_count,
         integers_behind(work, eigen_numbers(k.rows)), &integer_count, &info, 1, 1);
  require_converged(info);
}

}  // namespace

std::size_t eigen_work(std::size_t n) {
  return eigen_numbers(n) + eigen_integers(n);
}

void eigen(MatrixView<double> k, std::span<double> values, std::span<double> work) {
  eigen_with(dsyevd_, k, values, work);
}

void eigen(MatrixView<float> k, std::span<float> values, std::span<float> work) {
  eigen_with(ssyevd_, k, values, work);
}

std::size_t reflector_work(std::size_t n) {
  return lapack_block * n;
}

void reduce(MatrixView<double> k, std::span<double> diagonal, std::span<double> off_diagonal, std::span<double> tau,
            std::span<double> work) {
  require_square(k);
  require(diagonal.size() == k.rows && off_diagonal.size() == k.rows && tau.size() == k.rows &&
              work.size() >= reflector_work(k.rows),
          "reduce with too little room");
  const blasint n = narrow(k.rows);
  const blasint count = narrow(work.size());
  blasint info = 0;
  dsytrd_(&lower_triangle, &n, k.data, &n, diagonal.data(), off_diagonal.data(), tau.data(), work.data(), &count, &info,
          1);
  throw_if_cancelled();
}

void form_reflectors(MatrixView<double> k, std::span<const double> tau, std::span<double> work) {
  require_square(k);
  require(tau.size() == k.rows && work.size() >= reflector_work(k.rows), "form_reflectors with too little room");
  const blasint n = narrow(k.rows);
  const blasint count = narrow(work.size());
  blasint info = 0;
  dorgtr_(&lower_triangle, &n, k.data, &n, tau.data(), work.data(), &count, &info, 1);
  throw_if_cancelled();
}

std::size_t tridiagonal_work(std::size_t n) {
  return n + reflector_work(n);
}

void tridiagonalise(MatrixView<double> k, std::span<double> diagonal, std::span<double> off_diagonal,
                    std::span<double> work) {
  require(work.size() >= tridiagonal_work(k.rows), "tridiagonalise with too little room");
  reduce(k, diagonal, off_diagonal, work.first(k.rows), work.subspan(k.rows));
  form_reflectors(k, work.first(k.rows), work.subspan(k.rows));
}

std::size_t tridiagonal_eigen_work(std::size_t n) {
  return tridiagonal_eigen_numbers(n) + eigen_integers(n);
}

void tridiagonal_eigen(std::span<double> diagonal, std::span<double> off_diagonal, MatrixView<double> z,
                       std::span<double> work) {
  require(
      z.rows == z.cols && z.row_major() && diagonal.size() == z.rows && work.size() >= tridiagonal_eigen_work(z.rows),
      "tridiagonal_eigen of shapes that do not fit");
  const blasint n = narrow(z.rows);
  const blasint ldz = leading_dimension(z);
  const blasint number_count = narrow(tridiagonal_eigen_numbers(z.rows));
  const blasint integer_count = narrow(eigen_integers(z.rows));
  const char own_vectors = 'I';
  blasint info = 0;
  dstedc_(&own_vectors, &n, diagonal.data(), off_diagonal.data(), z.data, &ldz, work.data(), &number_count,
          integers_behind(work, tridiagonal_eigen_numbers(z.rows)), &integer_count, &info, 1);
  require_converged(info);
}

std::size_t merge_work(std::size_t n) {
  return merge_numbers(n) + (5 * n);
}

void merge_eigen(std::span<double> values, MatrixView<double> z, double rho, std::size_t cut, std::span<double> work) {
  require_square(z);
  require(values.size() == z.rows && cut > 0 && 2 * cut <= z.rows && work.size() >= merge_work(z.rows),
          "merge_eigen of shapes that do not fit");
  const blasint n = narrow(z.rows);
  const blasint first = narrow(cut);
  blasint* const integers = integers_behind(work, merge_numbers(z.rows));
  blasint* const order = integers + (4 * z.rows);
  for (std::size_t i = 0; i < z.rows; ++i) order[i] = narrow(i < cut ? i + 1 : i - cut + 1);
  blasint info = 0;
  dlaed1_(&n, values.data(), z.data, &n, order, &rho, &first, work.data(), integers, &info);
  require_converged(info);
}

bool cholesky(MatrixView<double> k) {
  require_square(k);
  const blasint n = narrow(k.rows);
  blasint info = 0;
  throw_if_cancelled();
  dpotrf_(&lower_triangle, &n, k.data, &n, &info, 1);
  throw_if_cancelled();
  return info == 0;
}

void cholesky_inverse(MatrixView<double> k) {
  require_square(k);
  const blasint n = narrow(k.rows);
  blasint info = 0;
  dpotri_(&lower_triangle, &n, k.data, &n, &info, 1);
  throw_if_cancelled();
  mirror_lower(k);
}

void cholesky_solve(MatrixView<const double> k, std::span<double> x) {
  require_square(k);
  require(x.size() == k.rows, "cholesky_solve of a vector of another length");
  const blasint n = narrow(k.rows);
  const blasint one = 1;
  blasint info = 0;
  dpotrs_(&lower_triangle, &n, &one, k.data, &n, x.data(), &n, &info, 1);
}

}  // namespace cgfac::blas
