#include "core/factor.h"

#include "core/blas.h"

namespace cgfac {

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
