#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <vector>

#include "support/reference.h"

namespace cgfac::test {

/// Eigenvalues, and eigenvectors in the columns, of a symmetric matrix.
struct Spectra {
  std::vector<double> values;
  DenseMatrix vectors;

  [[nodiscard]] double largest() const { return *std::ranges::max_element(values); }
};

/// The cyclic Jacobi method: rotations that zero one pair of off-diagonal elements after another.
///
/// Source: G. Golub and C. Van Loan, "Matrix Computations", fourth edition, 2013, algorithm 8.5.3.
inline Spectra jacobi(DenseMatrix matrix) {
  const std::size_t size = matrix.rows;
  DenseMatrix vectors{.rows = size, .cols = size};
  double largest = 0;
  for (std::size_t i = 0; i < size; ++i) {
    vectors(i, i) = 1;
    largest = std::max(largest, std::abs(matrix(i, i)));
  }
  const double negligible = 0x1p-62 * largest;  // of a positive semidefinite matrix, whose eigenvalues it moves less
  const auto rotate = [size](DenseMatrix& x, bool rows, std::size_t p, std::size_t q, double c, double s) {
    for (std::size_t k = 0; k < size; ++k) {
      double& first = rows ? x(p, k) : x(k, p);
      double& second = rows ? x(q, k) : x(k, q);
      const double kept = first;
      first = (c * kept) - (s * second);
      second = (s * kept) + (c * second);
    }
  };
  for (int sweep = 0; sweep < 12; ++sweep) {
    for (std::size_t p = 0; p < size; ++p) {
      for (std::size_t q = p + 1; q < size; ++q) {
        if (std::abs(matrix(p, q)) <= negligible) continue;
        const double tau = (matrix(q, q) - matrix(p, p)) / (2 * matrix(p, q));
        const double t = (tau >= 0 ? 1 : -1) / (std::abs(tau) + std::sqrt(1 + (tau * tau)));
        const double c = 1 / std::sqrt(1 + (t * t));
        rotate(matrix, true, p, q, c, t * c);
        rotate(matrix, false, p, q, c, t * c);
        rotate(vectors, false, p, q, c, t * c);
        matrix(p, q) = matrix(q, p) = 0;
      }
    }
  }
  Spectra result{.values = std::vector<double>(size), .vectors = vectors};
  for (std::size_t i = 0; i < size; ++i) result.values[i] = matrix(i, i);
  return result;
}

/// Both factors of a block decomposed: (F + λI)⁻¹ for any λ, in float64.
struct DenseSolver {
  const FisherBlock& block;
  Spectra input = jacobi(factor_matrix(block.input));
  Spectra output = jacobi(factor_matrix(block.output));

  /// x = Q_g [(Q_gᵀ v Q_a)/(λ + E)] Q_aᵀ
  [[nodiscard]] std::vector<double> solve(double damping, const std::vector<double>& v) const {
    DenseMatrix coordinates =
        output.vectors.transposed() * dense_weights(block, std::span<const double>(v)) * input.vectors;
    for (std::size_t i = 0; i < coordinates.rows; ++i) {
      for (std::size_t j = 0; j < coordinates.cols; ++j)
        coordinates(i, j) /= damping + (std::max(output.values[i], 0.0) * std::max(input.values[j], 0.0));
    }
    return weight_numbers(block, output.vectors * coordinates * input.vectors.transposed());
  }
  /// (λ + max E)/λ
  [[nodiscard]] double condition(double damping) const {
    return (damping + (input.largest() * output.largest())) / damping;
  }
};

/// The k-th iterate of conjugate gradients from a start, as it stands in the textbook, in float64.
inline std::vector<double> dense_iterate(const FisherBlock& block, double damping, const std::vector<double>& v,
                                         std::vector<double> x, int iterations) {
  const auto apply = [&](const std::vector<double>& from) {
    return dense_apply(block, damping, std::span<const double>(from));
  };
  std::vector<double> r = difference(v, apply(x));
  std::vector<double> p = r;
  double rho = dot(r, r);
  for (int k = 0; k < iterations && rho > 0x1p-22 * dot(v, v); ++k) {
    const std::vector<double> q = apply(p);
    const double alpha = rho / dot(p, q);
    for (std::size_t i = 0; i < x.size(); ++i) {
      x[i] += alpha * p[i];
      r[i] -= alpha * q[i];
    }
    const double next = dot(r, r);
    for (std::size_t i = 0; i < x.size(); ++i) p[i] = r[i] + (next / rho * p[i]);
    rho = next;
  }
  return x;
}

}  // namespace cgfac::test
