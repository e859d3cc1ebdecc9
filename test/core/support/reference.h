#pragma once

#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

#include "core/block/fisher_block.h"

namespace cgfac::test {

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

/// (F + λI) v by the definition, in float64, with A, G and both products written out.
template <typename T>
std::vector<double> dense_apply(const FisherBlock& block, double damping, std::span<const T> v) {
  const std::size_t m = block.rows();
  const std::size_t n = block.cols();
  const std::size_t in_features = block.input.rows.cols;
  const auto a = [&](std::size_t i, std::size_t j) {
    return j < in_features ? static_cast<double>(block.input.rows(i, j)) : 1.0;
  };
  std::vector<double> big_a(n * n);
  std::vector<double> big_g(m * m);
  for (std::size_t i = 0; i < block.input.count(); ++i) {
    for (std::size_t j = 0; j < n; ++j) {
      for (std::size_t k = 0; k < n; ++k) big_a[(j * n) + k] += block.input.scale * a(i, j) * a(i, k);
    }
  }
  for (std::size_t i = 0; i < block.output.count(); ++i) {
    for (std::size_t j = 0; j < m; ++j) {
      for (std::size_t k = 0; k < m; ++k) {
        big_g[(j * m) + k] += block.output.scale * static_cast<double>(block.output.rows(i, j)) *
                              static_cast<double>(block.output.rows(i, k));
      }
    }
  }
  const WeightView<const T> view = block.view(v);
  const auto element = [&](std::size_t i, std::size_t j) {
    return static_cast<double>(j < in_features ? view.kernel(i, j) : view.bias[i]);
  };
  std::vector<double> gv(m * n);
  for (std::size_t i = 0; i < m; ++i) {
    for (std::size_t k = 0; k < m; ++k) {
      for (std::size_t j = 0; j < n; ++j) gv[(i * n) + j] += big_g[(i * m) + k] * element(k, j);
    }
  }
  std::vector<double> result(m * n);
  const WeightView<double> out = block.view(std::span<double>(result));
  for (std::size_t i = 0; i < m; ++i) {
    for (std::size_t j = 0; j < n; ++j) {
      double sum = damping * element(i, j);
      for (std::size_t k = 0; k < n; ++k) sum += gv[(i * n) + k] * big_a[(k * n) + j];
      (j < in_features ? out.kernel(i, j) : out.bias[i]) = sum;
    }
  }
  return result;
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
