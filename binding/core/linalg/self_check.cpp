#include "core/linalg/self_check.h"

#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

#include "core/base/error.h"
#include "core/base/matrix_view.h"
#include "core/linalg/blas.h"
#include "core/linalg/kernel_choice.h"
#include "core/linalg/lapack.h"
#include "core/linalg/openblas.h"

namespace cgfac::blas {
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
  require_kernel_that_fits();
  reserve_buffer();
  const bool agree = products_agree<float>(17, 37, 29) && products_agree<float>(1, 67, 5) &&
                     products_agree<double>(17, 37, 29) && products_agree<double>(3, 5, 1) && gram_agrees(23, 41) &&
                     vectors_agree<float>(1021) && vectors_agree<double>(1021) && eigen_agrees(67);
  if (!agree) {
    throw Error(ErrorCode::blas_mismatch,
                "Expected results of OpenBLAS to equal plain loops but received other numbers from its kernel '" +
                    info().core + "'; set OPENBLAS_CORETYPE=" + plainest_kernel() +
                    " in the environment and try again");
  }
}

}  // namespace cgfac::blas
