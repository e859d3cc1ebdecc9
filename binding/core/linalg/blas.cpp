#include "core/linalg/blas.h"

#include <cblas.h>

#include <cmath>

#include "core/linalg/blas_arguments.h"
#include "core/threads/cancel.h"

namespace cgfac::blas {
namespace {

// Between them no block of a sum in float32 can have lost what counts, or have overflowed.
constexpr double least_sum = 0x1p-100;
constexpr double largest_sum = 0x1p120;

template <typename T, typename Gemm>
void gemm_with(Gemm product, T alpha, const MatrixView<const T>& a, const MatrixView<const T>& b, T beta,
               const MatrixView<T>& c) {
  require(a.rows == c.rows && b.cols == c.cols && a.cols == b.rows, "gemm of shapes that do not fit");
  if (!c.row_major()) {  // Cᵀ = Bᵀ Aᵀ
    gemm_with(product, alpha, b.transposed(), a.transposed(), beta, c.transposed());
    return;
  }
  throw_if_cancelled();
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
  throw_if_cancelled();
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
  const double sum = cblas_dsdot(narrow(x.size()), x.data(), 1, y.data(), 1);
  if (std::abs(sum) >= least_sum && std::abs(sum) <= largest_sum) return sum;
  double wide = 0;
  for (std::size_t i = 0; i < x.size(); ++i) wide += static_cast<double>(x[i]) * static_cast<double>(y[i]);
  return wide;
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

}  // namespace cgfac::blas
