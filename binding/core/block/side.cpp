#include "core/block/side.h"

#include <algorithm>
#include <span>
#include <vector>

#include "core/block/weight_vector.h"
#include "core/linalg/blas.h"
#include "core/linalg/power_method.h"

namespace cgfac {
namespace {

// y ← F x by the rows: scale · R'ᵀ (R' x), 2·N·d flops each; x and y with their homogeneous coordinate.
void multiply_by_rows(const Side& side, const MatrixView<float>& x, const MatrixView<float>& image) {
  const std::size_t d = side.features();
  const float last = side.homogeneous ? x(d, 0) : 0.0F;
  blas::gemm(1.0F, side.rows, x.rows_from(0, d), 0.0F, image);
  double sum = 0;
  for (std::size_t i = 0; side.homogeneous && i < side.count(); ++i) {
    image(i, 0) += last * static_cast<float>(side.last_coordinate(i));
    sum += static_cast<double>(image(i, 0)) * side.last_coordinate(i);
  }
  blas::gemm(static_cast<float>(side.scale), side.rows.transposed(), image, 0.0F, x.rows_from(0, d));
  if (side.homogeneous) x(d, 0) = static_cast<float>(side.scale * sum);
}

}  // namespace

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
  const std::size_t d = side.dimension();
  const std::size_t images = side.given() ? d : side.count();
  std::vector<float> memory(d + images);
  const MatrixView<float> single(memory.data(), d, 1);
  const MatrixView<float> image(memory.data() + d, images, 1);
  return power_method(d, [&](std::span<const double> x, std::span<double> y) {
    std::ranges::transform(x, single.data, [](double element) { return static_cast<float>(element); });
    if (side.given()) {
      blas::gemm(static_cast<float>(side.scale), side.covariance, single, 0.0F, image);
      std::ranges::copy(image.elements(), y.begin());
    } else {
      multiply_by_rows(side, single, image);
      std::ranges::copy(single.elements(), y.begin());
    }
  });
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
