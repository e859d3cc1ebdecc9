#pragma once

#include <cmath>
#include <span>
#include <vector>

#include "core/base/matrix_view.h"
#include "core/base/scattered.h"
#include "core/linalg/blas.h"

namespace cgfac {

/// The largest eigenvalue of a positive semidefinite operator on so many numbers, from below: ‖Fx‖ of a unit vector
/// after a few steps of the power method. `apply(x, y)` makes y = F x.
///
/// The start has no pattern: all ones would be orthogonal to every eigenvector of a softmax head's G, whose rows add up
/// to 0.
///
/// Source: R. von Mises and H. Pollaczek-Geiringer, "Praktische Verfahren der Gleichungsauflösung", 1929.
template <typename Apply>
double power_method(std::size_t size, const Apply& apply) {
  constexpr int steps = 5;
  std::vector<double> x(size);
  std::vector<double> y(size);
  for (std::size_t i = 0; i < size; ++i) x[i] = scattered(size, i) - 0.5;
  double largest = 0;
  for (int step = 0; step < steps; ++step) {
    const double norm = std::sqrt(blas::dot(std::span<const double>(x), x));
    if (!(norm > 0)) return 0;
    for (double& element : x) element /= norm;
    apply(std::span<const double>(x), std::span<double>(y));
    largest = std::sqrt(blas::dot(std::span<const double>(y), y));
    x.swap(y);
  }
  return largest;
}

/// The largest eigenvalue of a matrix without gaps, from below, by its lower triangle.
[[nodiscard]] inline double largest_eigenvalue(MatrixView<const double> k) {
  return power_method(k.rows, [&](std::span<const double> x, std::span<double> y) {
    for (double& element : y) element = 0;
    for (std::size_t i = 0; i < k.rows; ++i) {
      const std::span<const double> row(k.data + (i * k.cols), i);
      y[i] += (k(i, i) * x[i]) + blas::dot(row, x.first(i));
      blas::axpy(x[i], row, y.first(i));
    }
  });
}

}  // namespace cgfac
