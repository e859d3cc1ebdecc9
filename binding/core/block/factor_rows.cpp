#include "core/block/factor_rows.h"

#include <cmath>
#include <span>
#include <vector>

#include "core/linalg/blas.h"

namespace cgfac {

// A Weyl sequence through the finaliser of SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number
// generators", 2014).
double scattered(std::uint64_t stream, std::uint64_t index) {
  std::uint64_t z = ((stream + 1) * 0xd1b54a32d192ed03) + ((index + 1) * 0x9e3779b97f4a7c15);
  z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27U)) * 0x94d049bb133111eb;
  return static_cast<double>((z ^ (z >> 31U)) >> 11U) * 0x1p-53;
}

double largest_eigenvalue(const FactorRows& side) {
  constexpr int steps = 5;
  const std::size_t d = side.rows.cols;
  const std::size_t count = side.count();
  std::vector<float> memory(d + count);
  const MatrixView<float> x(memory.data(), d, 1);
  const MatrixView<float> y(memory.data() + d, count, 1);
  double last = side.homogeneous ? 0.5 : 0;  // x's homogeneous coordinate
  for (std::size_t j = 0; j < d; ++j) x(j, 0) = static_cast<float>(scattered(d, j) - 0.5);
  double largest = 0;
  for (int step = 0; step < steps; ++step) {
    const double norm = std::sqrt(blas::dot(std::span<const float>(x.elements()), x.elements()) + (last * last));
    if (!(norm > 0)) return 0;
    for (float& element : x.elements()) element /= static_cast<float>(norm);
    last /= norm;
    // y ← R' x, x ← scale · R'ᵀ y
    blas::gemm(1.0F, side.rows, x, 0.0F, y);
    double sum = 0;
    for (float& element : y.elements()) {
      element += static_cast<float>(last);
      sum += static_cast<double>(element);
    }
    blas::gemm(static_cast<float>(side.scale), side.rows.transposed(), y, 0.0F, x);
    last = side.homogeneous ? side.scale * sum : 0;
    largest = std::sqrt(blas::dot(std::span<const float>(x.elements()), x.elements()) + (last * last));
  }
  return largest;
}

void gram_matrix(const FactorRows& side, MatrixView<float> k) {
  const auto scale = static_cast<float>(side.scale);
  blas::gram(scale, side.rows, k);
  if (!side.homogeneous) return;
  for (float& element : k.elements()) element += scale;  // + scale · 1 1ᵀ
}

void covariance_matrix(const FactorRows& side, MatrixView<float> m) {
  const auto scale = static_cast<float>(side.scale);
  const std::size_t d = side.rows.cols;
  const MatrixView<float> block(m.data, d, d, m.row_stride, 1);
  blas::gram(scale, side.rows.transposed(), block);
  if (!side.homogeneous) return;
  // the last row and column: scale · Rᵀ1, and the corner scale · N
  for (std::size_t j = 0; j < d; ++j) {
    double sum = 0;
    for (std::size_t i = 0; i < side.count(); ++i) sum += static_cast<double>(side.rows(i, j));
    m(d, j) = m(j, d) = static_cast<float>(side.scale * sum);
  }
  m(d, d) = static_cast<float>(side.scale * static_cast<double>(side.count()));
}

}  // namespace cgfac
