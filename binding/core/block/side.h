#pragma once

#include <cstddef>

#include "core/base/matrix_view.h"

namespace cgfac {

/// One side of a layer's Fisher block as the solvers see it, the input factor A or the output factor G, in one of three
/// forms. It owns nothing.
///
///   rows of a batch      factor = scale · R'ᵀ R',  R' = R or [R 1]       the 1 is stored nowhere
///   an averaged panel    factor = scale · R'ᵀ R',  R' = R or [R last]    scale 1: the rows carry it
///   an averaged matrix   factor = scale · covariance                     R has no rows, its columns are the features
///
/// A layer with a bias makes its input side homogeneous; an output side never is. Of a batch the input side has scale
/// 1/B, the output side 1/N_g, times B² where the loss reduction is 'mean'.
struct Side {
  MatrixView<const float> rows;    ///< R, count × features
  bool homogeneous = false;        ///< whether each row has a further coordinate, the last
  MatrixView<const float> last{};  ///< count × 1: that coordinate where it is stored; else it is 1
  MatrixView<const float>
      covariance{};  ///< dimension × dimension, row-major, both triangles: where the factor is given
  double scale = 1;

  [[nodiscard]] std::size_t count() const { return rows.rows; }
  [[nodiscard]] std::size_t features() const { return rows.cols; }
  [[nodiscard]] std::size_t dimension() const { return rows.cols + (homogeneous ? 1 : 0); }
  /// Whether the factor is given as a matrix, so that there are no rows.
  [[nodiscard]] bool given() const { return covariance.data != nullptr; }
  /// Whether the last coordinate of the rows is stored.
  [[nodiscard]] bool stores_last() const { return last.data != nullptr; }
  /// The last coordinate of row i of a homogeneous side.
  [[nodiscard]] double last_coordinate(std::size_t i) const {
    return stores_last() ? static_cast<double>(last(i, 0)) : 1.0;
  }
};

/// How a side enters the products: through its rows (a panel P, factor = P Pᵀ), or through the factor itself, which is
/// the only way where the factor is given.
enum class FactorForm { panel, covariance };

/// The number of rows or columns that the side leaves in a projected matrix: N for a panel, the dimension for a
/// covariance.
[[nodiscard]] inline std::size_t projected_size(const Side& side, FactorForm form) {
  return form == FactorForm::panel ? side.count() : side.dimension();
}

/// The factor's trace: scale · ‖R'‖² or scale · Σ covariance_ii.
[[nodiscard]] double trace(const Side& side);

/// The factor's largest eigenvalue, from below: ‖F x‖ after a few steps of the power method, 2·N·d flops each, or d².
[[nodiscard]] double largest_eigenvalue(const Side& side);

/// M ← P Pᵀ = scale · R'ᵀ R' (dimension × dimension), N·d² flops; scale · covariance where the factor is given.
void covariance_matrix(const Side& side, MatrixView<float> m);

}  // namespace cgfac
