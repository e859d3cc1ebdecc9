#include "core/blas.h"

#include <cblas.h>
#include <openblas_config.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <string_view>
#include <vector>

#include "core/error.h"

namespace cgfac::blas {
namespace {

// OpenBLAS reads the variable in a constructor of its own; priority 101 runs before that one, when the addon is loaded.
// OpenBLAS's thread pool must not exist: child_process.spawn during a product would hang the parent.
__attribute__((constructor(101))) void force_one_blas_thread() {
  setenv("OPENBLAS_NUM_THREADS", "1", 1);  // NOLINT(concurrency-mt-unsafe): no other thread exists yet
}

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

void gram(float alpha, MatrixView<const float> x, MatrixView<float> k) {
  require(k.rows == x.rows && k.cols == x.rows && k.row_major(), "gram of shapes that do not fit");
  cblas_ssyrk(CblasRowMajor, CblasLower, order_of(x), narrow(x.rows), narrow(x.cols), alpha, x.data,
              leading_dimension(x), 0.0F, k.data, leading_dimension(k));
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

}  // namespace

void self_check() {
  const bool agree = products_agree<float>(17, 37, 29) && products_agree<float>(1, 67, 5) &&
                     products_agree<double>(17, 37, 29) && products_agree<double>(3, 5, 1) && gram_agrees(23, 41) &&
                     vectors_agree<float>(1021) && vectors_agree<double>(1021);
  if (!agree) {
    throw Error(ErrorCode::blas_mismatch,
                "Expected products of OpenBLAS to equal plain loops but received other numbers from its kernel '" +
                    info().core + "'; set OPENBLAS_CORETYPE=Haswell in the environment and try again");
  }
}

}  // namespace cgfac::blas
