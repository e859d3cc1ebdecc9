#include "core/block/side.h"

#include <cmath>
#include <span>
#include <vector>

#include "core/block/weight_vector.h"
#include "core/linalg/blas.h"

namespace cgfac {
namespace {

// x ← F x by the rows: y = R' x, x = scale · R'ᵀ y; `last` is x's homogeneous coordinate.
void multiply_by_rows(const Side& side, const MatrixView<float>& x, double& last, const MatrixView<float>& y) {
  blas::gemm(1.0F, side.rows, x, 0.0F, y);
  double sum = 0;
  for (std::size_t i = 0; side.homogeneous && i < side.count(); ++i) {
    y(i, 0) += static_cast<float>(last * side.last_coordinate(i));
    sum += static_cast<double>(y(i, 0)) * side.last_coordinate(i);
  }
  blas::gemm(static_cast<float>(side.scale), side.rows.transposed(), y, 0.0F, x);
  last = side.scale * sum;
}

}  // namespace

// A Weyl sequence through the finaliser of SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number
// generators", 2014).
double scattered(std::uint64_t stream, std::uint64_t index) {
  std::uint64_t z = ((stream + 1) * 0xd1b54a32d192ed03) + ((index + 1) * 0x9e3779b97f4a7c15);
  z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27U)) * 0x94d049bb133111eb;
  return static_cast<double>((z ^ (z >> 31U)) >> 11U) * 0x1p-53;
}

double trace(const Side& side) {
  double sum = 0;
  if (side.given()) {
    for (std::size_t i = 0; i < side.dimension(); ++i) sum += static_cast<double>(side.covariance(i, i));
    return side.scale * sum;
  }
  if (side.homogeneous) sum = side.stores_last() ? squares_in_pieces(side.last) : static_cast<double>(side.count());
  return side.scale * (squares_in_pieces(side.rows) + sum);
}

double largest_eigenvalue(const Side& side) {
  constexpr int steps = 5;
  // By rows the homogeneous coordinate is apart, in float64; a given factor has it in its place.
  const std::size_t d = side.given() ? side.dimension() : side.features();
  const std::size_t images = side.given() ? d : side.count();
  std::vector<float> memory(d + images);
  const MatrixView<float> x(memory.data(), d, 1);
  const MatrixView<float> y(memory.data() + d, images, 1);
  double last = side.homogeneous && !side.given() ? 0.5 : 0;
  for (std::size_t j = 0; j < d; ++j) x(j, 0) = static_cast<float>(scattered(d, j) - 0.5);
  double largest = 0;
  for (int step = 0; step < steps; ++step) {
    const double norm = std::sqrt(blas::dot(std::span<const float>(x.elements()), x.elements()) + (last * last));
    if (!(norm > 0)) return 0;
    for (float& element : x.elements()) element /= static_cast<float>(norm);
    last /= norm;
    if (side.given()) {
      blas::gemm(static_cast<float>(side.scale), side.covariance, x, 0.0F, y);
      std::ranges::copy(y.elements(), x.data);
    } else {
      multiply_by_rows(side, x, last, y);
    }
    largest = std::sqrt(blas::dot(std::span<const float>(x.elements()), x.elements()) + (last * last));
  }
  return largest;
}

void covariance_matrix(const Side& side, MatrixView<float> m) {
  const auto scale = static_cast<float>(side.scale);
  if (side.given()) {
    for (std::size_t i = 0; i < m.rows; ++i) {
      for (std::size_t j = 0; j < m.cols; ++j) m(i, j) = scale * side.covariance(i, j);
    }
    return;
  }
  const std::size_t d = side.features();
  const MatrixView<float> block(m.data, d, d, m.row_stride, 1);
  blas::gram(scale, side.rows.transposed(), block);
  if (!side.homogeneous) return;
  // the last row and column: scale · Rᵀ last, and the corner scale · ‖last‖²
  for (std::size_t j = 0; j < d; ++j) {
    double sum = 0;
    for (std::size_t i = 0; i < side.count(); ++i)
      sum += static_cast<double>(side.rows(i, j)) * side.last_coordinate(i);
    m(d, j) = m(j, d) = static_cast<float>(side.scale * sum);
  }
  double corner = 0;
  for (std::size_t i = 0; i < side.count(); ++i) corner += side.last_coordinate(i) * side.last_coordinate(i);
  m(d, d) = static_cast<float>(side.scale * corner);
}

}  // namespace cgfac
