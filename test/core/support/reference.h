#pragma once

#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

#include "core/block/fisher_block.h"
#include "core/block/gradient.h"

namespace cgfac::test {

/// Half a unit in the last place of float32, relative.
inline constexpr double unit_roundoff = 0x1p-24;

/// Numbers in (−1, 1) from a fixed linear congruential generator: the same on every platform.
template <typename T>
std::vector<T> random_numbers(std::size_t count, std::uint64_t seed) {
  std::vector<T> values(count);
  std::uint64_t state = (seed * 0x9E3779B97F4A7C15ULL) + 1;
  for (T& value : values) {
    state = (state * 6364136223846793005ULL) + 1442695040888963407ULL;
    value = static_cast<T>((static_cast<double>(state >> 11U) / 0x1p52) - 1.0);
  }
  return values;
}

/// A row-major matrix in float64, for plain loops.
struct DenseMatrix {
  std::size_t rows;
  std::size_t cols;
  std::vector<double> numbers = std::vector<double>(rows * cols);

  double& operator()(std::size_t i, std::size_t j) { return numbers[(i * cols) + j]; }
  double operator()(std::size_t i, std::size_t j) const { return numbers[(i * cols) + j]; }
  [[nodiscard]] DenseMatrix transposed() const {
    DenseMatrix result{.rows = cols, .cols = rows};
    for (std::size_t i = 0; i < rows; ++i) {
      for (std::size_t j = 0; j < cols; ++j) result(j, i) = (*this)(i, j);
    }
    return result;
  }
};

/// The sum of a matrix's diagonal.
inline double trace_of(const DenseMatrix& x) {
  double sum = 0;
  for (std::size_t i = 0; i < x.rows; ++i) sum += x(i, i);
  return sum;
}

inline DenseMatrix operator*(const DenseMatrix& x, const DenseMatrix& y) {
  DenseMatrix result{.rows = x.rows, .cols = y.cols};
  for (std::size_t i = 0; i < x.rows; ++i) {
    for (std::size_t k = 0; k < x.cols; ++k) {
      for (std::size_t j = 0; j < y.cols; ++j) result(i, j) += x(i, k) * y(k, j);
    }
  }
  return result;
}

/// R' of a side that has rows: its last coordinates written out.
inline DenseMatrix dense_rows(const Side& side) {
  DenseMatrix result{.rows = side.count(), .cols = side.dimension()};
  for (std::size_t i = 0; i < result.rows; ++i) {
    for (std::size_t j = 0; j < side.features(); ++j) result(i, j) = static_cast<double>(side.rows(i, j));
    if (side.homogeneous)
      result(i, side.features()) = side.last.data == nullptr ? 1.0 : static_cast<double>(side.last(i, 0));
  }
  return result;
}

/// A side's factor by the definition.
inline DenseMatrix factor_matrix(const Side& side) {
  DenseMatrix result{.rows = side.dimension(), .cols = side.dimension()};
  if (side.covariance.data != nullptr) {
    for (std::size_t i = 0; i < result.rows; ++i) {
      for (std::size_t j = 0; j < result.cols; ++j) result(i, j) = static_cast<double>(side.covariance(i, j));
    }
  } else {
    const DenseMatrix rows = dense_rows(side);
    result = rows.transposed() * rows;
  }
  for (double& element : result.numbers) element *= side.scale;
  return result;
}

/// Numbers of weight space, kernel and bias, as the m × n matrix of the mathematics, and back.
template <typename T>
DenseMatrix dense_weights(const FisherBlock& block, std::span<const T> v) {
  DenseMatrix result{.rows = block.rows(), .cols = block.cols()};
  const WeightView<const T> view = block.view(v);
  for (std::size_t i = 0; i < result.rows; ++i) {
    for (std::size_t j = 0; j < view.kernel.cols; ++j) result(i, j) = static_cast<double>(view.kernel(i, j));
    if (block.bias()) result(i, view.kernel.cols) = static_cast<double>(view.bias[i]);
  }
  return result;
}
inline std::vector<double> weight_numbers(const FisherBlock& block, const DenseMatrix& matrix) {
  std::vector<double> result(block.size());
  const WeightView<double> view = block.view(std::span<double>(result));
  for (std::size_t i = 0; i < matrix.rows; ++i) {
    for (std::size_t j = 0; j < view.kernel.cols; ++j) view.kernel(i, j) = matrix(i, j);
    if (block.bias()) view.bias[i] = matrix(i, view.kernel.cols);
  }
  return result;
}

/// (F + λI) v by the definition, in float64, with A, G and both products written out.
template <typename T>
std::vector<double> dense_apply(const FisherBlock& block, double damping, std::span<const T> v) {
  const DenseMatrix weights = dense_weights(block, v);
  DenseMatrix result = factor_matrix(block.output) * weights * factor_matrix(block.input);
  for (std::size_t i = 0; i < result.numbers.size(); ++i) result.numbers[i] += damping * weights.numbers[i];
  return weight_numbers(block, result);
}

/// A batch's own gradient scale · g_vᵀ [a 1] in float64.
inline std::vector<double> dense_gradient(const FisherBlock& block, const Gradient& gradient) {
  const bool own_rows = gradient.inputs.data == nullptr;
  const Side inputs = own_rows ? block.input : Side{.rows = gradient.inputs, .homogeneous = block.bias()};
  DenseMatrix result =
      dense_rows({.rows = gradient.loss_grads, .homogeneous = false}).transposed() * dense_rows(inputs);
  for (double& element : result.numbers) element *= gradient.scale;
  return weight_numbers(block, result);
}

template <typename T, typename U>
double dot(const std::vector<T>& x, const std::vector<U>& y) {
  double sum = 0;
  for (std::size_t i = 0; i < x.size(); ++i) sum += static_cast<double>(x[i]) * static_cast<double>(y[i]);
  return sum;
}

template <typename T>
double norm(const std::vector<T>& x) {
  return std::sqrt(dot(x, x));
}

template <typename T, typename U>
std::vector<double> difference(const std::vector<T>& x, const std::vector<U>& y) {
  std::vector<double> result(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) result[i] = static_cast<double>(x[i]) - static_cast<double>(y[i]);
  return result;
}

/// ‖x − y‖/‖y‖
template <typename T, typename U>
double relative_error(const std::vector<T>& x, const std::vector<U>& y) {
  return norm(difference(x, y)) / norm(y);
}

/// ‖x‖ in the norm of F + λI
template <typename T>
double energy_norm(const FisherBlock& block, double damping, const std::vector<T>& x) {
  return std::sqrt(dot(x, dense_apply(block, damping, std::span<const T>(x))));
}

}  // namespace cgfac::test
