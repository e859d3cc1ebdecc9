#include "core/linalg/blas.h"

#include <cblas.h>
#include <openblas_config.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <mutex>
#include <string_view>
#include <vector>

#include "core/base/error.h"

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

// OpenBLAS reads the variable in a constructor of its own; priority 101 runs before that one, when the addon is loaded.
// OpenBLAS's thread pool must not exist: child_process.spawn during a product would hang the parent.
__attribute__((constructor(101))) void force_one_blas_thread() {
  setenv("OPENBLAS_NUM_THREADS", "1", 1);  // NOLINT(concurrency-mt-unsafe): no other thread of the addon's exists yet
}

constexpr const char* kernel_variable = "OPENBLAS_CORETYPE";
bool chose_kernel = false;

// OpenBLAS knows processors by their model numbers, and takes kernels of 2004 for one that is newer than itself: a
// third of the speed, or less. What a processor can do tells which of its kernels fit. A choice of the user's stays.
const char* kernel_for_this_processor() {
  __builtin_cpu_init();
  // int with GCC, bool with Clang
  const auto all = [](auto... supported) { return (static_cast<bool>(supported) && ...); };
  const bool avx2 = all(__builtin_cpu_supports("avx2"), __builtin_cpu_supports("fma"));
  const bool avx512 = avx2 && all(__builtin_cpu_supports("avx512f"), __builtin_cpu_supports("avx512cd"),
                                  __builtin_cpu_supports("avx512bw"), __builtin_cpu_supports("avx512dq"),
                                  __builtin_cpu_supports("avx512vl"));
  if (all(__builtin_cpu_is("amd"))) return avx2 ? "Zen" : nullptr;
  if (avx512) return "SkylakeX";
  return avx2 ? "Haswell" : nullptr;
}

// NOLINTBEGIN(concurrency-mt-unsafe): as above
__attribute__((constructor(101))) void choose_kernel() {
  const char* const kernel = kernel_for_this_processor();
  chose_kernel = kernel != nullptr && std::getenv(kernel_variable) == nullptr;
  if (chose_kernel) setenv(kernel_variable, kernel, 0);
}

// Processes that this one starts may have a newer OpenBLAS.
void forget_chosen_kernel() {
  static std::once_flag once;
  std::call_once(once, [] {
    if (chose_kernel) unsetenv(kernel_variable);
  });
}
// NOLINTEND(concurrency-mt-unsafe)

void require(bool holds, std::string_view contract) {
  if (!holds) throw Error(ErrorCode::shape_mismatch, std::string("blas: ").append(contract));
}

blasint narrow(std::size_t size) {
  if (size > static_cast<std::size_t>(std::numeric_limits<blasint>::max())) {
    throw expected(ErrorCode::invalid_value, "a size below 2^31", "a matrix dimension", std::to_string(size));
  }
  return static_cast<blasint>(size);
}

template <typename T>
CBLAS_TRANSPOSE order_of(const MatrixView<T>& x) {
  return x.row_major() ? CblasNoTrans : CblasTrans;
}

// The distance between the rows (or, transposed, the columns) in storage. A single row has none; BLAS wants its length.
template <typename T>
blasint leading_dimension(const MatrixView<T>& x) {
  return narrow(x.row_major() ? std::max(x.row_stride, x.cols) : std::max(x.col_stride, x.rows));
}

template <typename T, typename Gemm>
void gemm_with(Gemm product, T alpha, const MatrixView<const T>& a, const MatrixView<const T>& b, T beta,
               const MatrixView<T>& c) {
  require(a.rows == c.rows && b.cols == c.cols && a.cols == b.rows, "gemm of shapes that do not fit");
  if (!c.row_major()) {  // Cᵀ = Bᵀ Aᵀ
    gemm_with(product, alpha, b.transposed(), a.transposed(), beta, c.transposed());
    return;
  }
  product(CblasRowMajor, order_of(a), order_of(b), narrow(c.rows), narrow(c.cols), narrow(a.cols), alpha, a.data,
          leading_dimension(a), b.data, leading_dimension(b), beta, c.data, leading_dimension(c));
}

}  // namespace

void gemm(float alpha, MatrixView<const float> a, MatrixView<const float> b, float beta, MatrixView<float> c) {
  gemm_with(cblas_sgemm, alpha, a, b, beta, c);
}

void gemm(double alpha, MatrixView<const double> a, MatrixView<const double> b, double beta, MatrixView<double> c) {
  gemm_with(cblas_dgemm, alpha, a, b, beta, c);
}

void gram_rows(float alpha, MatrixView<const float> x, float beta, MatrixView<float> k, std::size_t first,
               std::size_t count) {
  require(k.rows == x.rows && k.cols == x.rows && k.row_major() && first + count <= k.rows,
          "gram of shapes that do not fit");
  const MatrixView<const float> rows = x.rows_from(first, count);
  if (first > 0)
    gemm(alpha, rows, x.rows_from(0, first).transposed(), beta, k.rows_from(first, count).columns(0, first));
  const MatrixView<float> diagonal = k.rows_from(first, count).columns(first, count);
  cblas_ssyrk(CblasRowMajor, CblasLower, order_of(rows), narrow(count), narrow(x.cols), alpha, rows.data,
              leading_dimension(rows), beta, diagonal.data, narrow(k.row_stride));
}

void gram(float alpha, MatrixView<const float> x, MatrixView<float> k) {
  gram_rows(alpha, x, 0.0F, k, 0, k.rows);
  for (std::size_t i = 0; i < k.rows; ++i) {
    for (std::size_t j = i + 1; j < k.cols; ++j) k(i, j) = k(j, i);
  }
}

double dot(std::span<const float> x, std::span<const float> y) {
  require(x.size() == y.size(), "dot of different lengths");
  return cblas_dsdot(narrow(x.size()), x.data(), 1, y.data(), 1);
}

double dot(std::span<const double> x, std::span<const double> y) {
  require(x.size() == y.size(), "dot of different lengths");
  return cblas_ddot(narrow(x.size()), x.data(), 1, y.data(), 1);
}

void axpy(float alpha, std::span<const float> x, std::span<float> y) {
  require(x.size() == y.size(), "axpy of different lengths");
  cblas_saxpy(narrow(x.size()), alpha, x.data(), 1, y.data(), 1);
}

void axpy(double alpha, std::span<const double> x, std::span<double> y) {
  require(x.size() == y.size(), "axpy of different lengths");
  cblas_daxpy(narrow(x.size()), alpha, x.data(), 1, y.data(), 1);
}

namespace {

template <typename T>
void require_square(const MatrixView<T>& k) {
  require(k.rows == k.cols && k.row_major() && k.row_stride == k.cols,
          "LAPACK on a matrix that is not square, or has gaps");
}

// Row-major lower is column-major upper.
constexpr char lower_triangle = 'U';
// dsytrd and dorgtr work in blocks of 32 columns; more is of no use to them
constexpr std::size_t lapack_block = 32;

void mirror_lower(MatrixView<double> k) {
  for (std::size_t i = 0; i < k.rows; ++i) {
    for (std::size_t j = i + 1; j < k.cols; ++j) k(i, j) = k(j, i);
  }
}

}  // namespace

namespace {

constexpr std::size_t eigen_numbers(std::size_t n) {
  return 1 + (6 * n) + (2 * n * n);
}

template <typename T, typename Solver>
void eigen_with(Solver solver, const MatrixView<T>& k, std::span<T> values, std::span<T> work) {
  static_assert(sizeof(blasint) <= sizeof(T));
  require_square(k);
  require(values.size() == k.rows && work.size() >= eigen_work(k.rows), "eigen with too little room");
  const blasint n = narrow(k.rows);
  const blasint number_count = narrow(eigen_numbers(k.rows));
  const blasint integer_count = narrow(3 + (5 * k.rows));
  auto* const integers = reinterpret_cast<blasint*>(work.data() + number_count);  // NOLINT(*-reinterpret-cast): scratch
  const char vectors = 'V';
  blasint info = 0;
  solver(&vectors, &lower_triangle, &n, k.data, &n, values.data(), work.data(), &number_count, integers, &integer_count,
         &info, 1, 1);
  if (info != 0) {
    throw expected(ErrorCode::not_finite, "an eigendecomposition that converges", "inputs and outputGrads",
                   "none from LAPACK (" + std::to_string(info) + ")");
  }
}

}  // namespace

// 1 + 6N + 2N² numbers and 3 + 5N integers, which are kept behind them
std::size_t eigen_work(std::size_t n) {
  return eigen_numbers(n) + 3 + (5 * n);
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
}

void form_reflectors(MatrixView<double> k, std::span<const double> tau, std::span<double> work) {
  require_square(k);
  require(tau.size() == k.rows && work.size() >= reflector_work(k.rows), "form_reflectors with too little room");
  const blasint n = narrow(k.rows);
  const blasint count = narrow(work.size());
  blasint info = 0;
  dorgtr_(&lower_triangle, &n, k.data, &n, tau.data(), work.data(), &count, &info, 1);
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

// dstedc: 1 + 4N + N² numbers and 3 + 5N integers
std::size_t tridiagonal_eigen_work(std::size_t n) {
  return 1 + (4 * n) + (n * n) + 3 + (5 * n);
}

void tridiagonal_eigen(std::span<double> diagonal, std::span<double> off_diagonal, MatrixView<double> z,
                       std::span<double> work) {
  require(
      z.rows == z.cols && z.row_major() && diagonal.size() == z.rows && work.size() >= tridiagonal_eigen_work(z.rows),
      "tridiagonal_eigen of shapes that do not fit");
  const blasint n = narrow(z.rows);
  const blasint ldz = leading_dimension(z);
  const std::size_t numbers = 1 + (4 * z.rows) + (z.rows * z.rows);
  const blasint number_count = narrow(numbers);
  const blasint integer_count = narrow(3 + (5 * z.rows));
  auto* const integers = reinterpret_cast<blasint*>(work.data() + numbers);  // NOLINT(*-reinterpret-cast): scratch
  const char own_vectors = 'I';
  blasint info = 0;
  dstedc_(&own_vectors, &n, diagonal.data(), off_diagonal.data(), z.data, &ldz, work.data(), &number_count, integers,
          &integer_count, &info, 1);
  if (info != 0) {
    throw expected(ErrorCode::not_finite, "an eigendecomposition that converges", "inputs and outputGrads",
                   "none from LAPACK (" + std::to_string(info) + ")");
  }
}

// dlaed1: 4N + N² numbers, 4N integers, and the order of the values
std::size_t merge_work(std::size_t n) {
  return (4 * n) + (n * n) + (5 * n);
}

void merge_eigen(std::span<double> values, MatrixView<double> z, double rho, std::size_t cut, std::span<double> work) {
  require_square(z);
  require(values.size() == z.rows && cut > 0 && cut < z.rows && work.size() >= merge_work(z.rows),
          "merge_eigen of shapes that do not fit");
  const blasint n = narrow(z.rows);
  const blasint first = narrow(cut);
  auto* const integers = reinterpret_cast<blasint*>(work.data() + (4 * z.rows) +
                                                    (z.rows * z.rows));  // NOLINT(*-reinterpret-cast): scratch
  blasint* const order = integers + (4 * z.rows);
  for (std::size_t i = 0; i < z.rows; ++i) order[i] = narrow(i < cut ? i + 1 : i - cut + 1);
  blasint info = 0;
  dlaed1_(&n, values.data(), z.data, &n, order, &rho, &first, work.data(), integers, &info);
  if (info != 0) {
    throw expected(ErrorCode::not_finite, "an eigendecomposition that converges", "inputs and outputGrads",
                   "none from LAPACK (" + std::to_string(info) + ")");
  }
}

bool cholesky(MatrixView<double> k) {
  require_square(k);
  const blasint n = narrow(k.rows);
  blasint info = 0;
  dpotrf_(&lower_triangle, &n, k.data, &n, &info, 1);
  return info == 0;
}

void cholesky_inverse(MatrixView<double> k) {
  require_square(k);
  const blasint n = narrow(k.rows);
  blasint info = 0;
  dpotri_(&lower_triangle, &n, k.data, &n, &info, 1);
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

Info info() {
  // "OpenBLAS 0.3.21 DYNAMIC_ARCH NO_AFFINITY SkylakeX MAX_THREADS=64"
  const std::string config = openblas_get_config();
  const std::size_t begin = config.find(' ') + 1;
  return {.version = config.substr(begin, config.find(' ', begin) - begin),
          .core = openblas_get_corename(),
          .threads = openblas_get_num_threads()};
}

namespace {

// Small integers as float: every product below is exact in float32, whatever the order of summation, so a correct
// kernel agrees bit for bit.
template <typename T>
std::vector<T> small_integers(std::size_t count, unsigned seed) {
  std::vector<T> values(count);
  for (T& value : values) {
    seed = (seed * 1664525U) + 1013904223U;
    value = static_cast<T>(static_cast<int>(seed >> 28U) - 8);
  }
  return values;
}

template <typename T>
bool products_agree(std::size_t rows, std::size_t inner, std::size_t cols) {
  const auto a = small_integers<T>(rows * inner, 1);
  const auto b = small_integers<T>(inner * cols, 2);
  std::vector<T> c(rows * cols);
  std::vector<T> c_transposed(rows * cols);
  const MatrixView<const T> a_view(a.data(), rows, inner);
  const MatrixView<const T> b_view(b.data(), inner, cols);
  gemm(T{1}, a_view, b_view, T{0}, MatrixView<T>(c.data(), rows, cols));
  // the same bytes read as the transposed operands
  gemm(T{1}, MatrixView<const T>(b.data(), cols, inner), MatrixView<const T>(a.data(), inner, rows), T{0},
       MatrixView<T>(c_transposed.data(), cols, rows));
  const MatrixView<const T> a_other(a.data(), inner, rows);
  const MatrixView<const T> b_other(b.data(), cols, inner);
  for (std::size_t i = 0; i < rows; ++i) {
    for (std::size_t j = 0; j < cols; ++j) {
      T sum{0};
      T sum_transposed{0};
      for (std::size_t k = 0; k < inner; ++k) {
        sum += a_view(i, k) * b_view(k, j);
        sum_transposed += b_other(j, k) * a_other(k, i);
      }
      if (c[(i * cols) + j] != sum || c_transposed[(j * rows) + i] != sum_transposed) return false;
    }
  }
  return true;
}

bool gram_agrees(std::size_t rows, std::size_t cols) {
  const auto x = small_integers<float>(rows * cols, 3);
  std::vector<float> k(rows * rows);
  const MatrixView<const float> view(x.data(), rows, cols);
  gram(1.0F, view, MatrixView<float>(k.data(), rows, rows));
  for (std::size_t i = 0; i < rows; ++i) {
    for (std::size_t j = 0; j < rows; ++j) {
      float sum = 0;
      for (std::size_t l = 0; l < cols; ++l) sum += view(i, l) * view(j, l);
      if (k[(i * rows) + j] != sum) return false;
    }
  }
  return true;
}

template <typename T>
bool vectors_agree(std::size_t size) {
  const auto x = small_integers<T>(size, 4);
  auto y = small_integers<T>(size, 5);
  double sum = 0;
  for (std::size_t i = 0; i < size; ++i) sum += static_cast<double>(x[i]) * static_cast<double>(y[i]);
  if (dot(std::span<const T>(x), std::span<const T>(y)) != sum) return false;
  const auto before = y;
  axpy(T{3}, std::span<const T>(x), std::span<T>(y));
  for (std::size_t i = 0; i < size; ++i) {
    if (y[i] != before[i] + (T{3} * x[i])) return false;
  }
  return true;
}

// Whether Q diag(values) Qᵀ gives back the matrix: dsyevd goes through most of the level-2 and level-3 kernels in
// float64.
bool eigen_agrees(std::size_t n) {
  const auto numbers = small_integers<double>(n * n, 6);
  std::vector<double> k(n * n);
  double norm = 0;
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j < n; ++j) {
      k[(i * n) + j] = numbers[(std::max(i, j) * n) + std::min(i, j)];
      norm += k[(i * n) + j] * k[(i * n) + j];
    }
  }
  std::vector<double> q = k;
  std::vector<double> values(n);
  std::vector<double> work(eigen_work(n));
  eigen({q.data(), n, n}, values, work);
  double error = 0;
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j < n; ++j) {
      double sum = -k[(i * n) + j];
      for (std::size_t l = 0; l < n; ++l) sum += values[l] * q[(l * n) + i] * q[(l * n) + j];
      error += sum * sum;
    }
  }
  return error <= 1e-24 * norm;
}

}  // namespace

void self_check() {
  forget_chosen_kernel();
  const bool agree = products_agree<float>(17, 37, 29) && products_agree<float>(1, 67, 5) &&
                     products_agree<double>(17, 37, 29) && products_agree<double>(3, 5, 1) && gram_agrees(23, 41) &&
                     vectors_agree<float>(1021) && vectors_agree<double>(1021) && eigen_agrees(67);
  if (!agree) {
    throw Error(ErrorCode::blas_mismatch,
                "Expected results of OpenBLAS to equal plain loops but received other numbers from its kernel '" +
                    info().core + "'; set OPENBLAS_CORETYPE=Haswell in the environment and try again");
  }
}

}  // namespace cgfac::blas
