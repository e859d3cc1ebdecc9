#pragma once

#include <cstddef>
#include <cstdint>

#include "core/base/buffer.h"
#include "core/base/matrix_view.h"

namespace cgfac {

/// The rows that one side of a layer's Fisher block is made of: N rows of d numbers, and the weight that makes a factor
/// of them. With `homogeneous` each row has a further coordinate, the last, that is 1 and is stored nowhere.
///
///   factor = scale · R'ᵀ R',   R' = R or [R 1]   (dimension × dimension)
///
/// The input side has scale 1/B; the output side 1/N_g, times B² where the loss reduction is 'mean'.
struct FactorRows {
  MatrixView<const float> rows;
  bool homogeneous = false;
  double scale = 1;

  [[nodiscard]] std::size_t count() const { return rows.rows; }
  [[nodiscard]] std::size_t dimension() const { return rows.cols + (homogeneous ? 1 : 0); }
};

/// How a side enters the products: through its rows (a panel P, factor = P Pᵀ), or through the factor itself.
enum class FactorForm { panel, covariance };

/// The number of rows or columns that the side leaves in a projected matrix: N for a panel, the dimension for a
/// covariance.
[[nodiscard]] inline std::size_t projected_size(const FactorRows& side, FactorForm form) {
  return form == FactorForm::panel ? side.count() : side.dimension();
}

/// A number in [0, 1) that looks drawn at random and is the same at every call.
[[nodiscard]] double scattered(std::uint64_t stream, std::uint64_t index);

/// The factor's largest eigenvalue, from below: ‖F x‖ after a few steps of the power method, 2·N·d flops each.
[[nodiscard]] double largest_eigenvalue(const FactorRows& side);

/// K ← PᵀP = scale · R' R'ᵀ (N × N), N²·d flops.
void gram_matrix(const FactorRows& side, MatrixView<float> k);

/// M ← P Pᵀ = scale · R'ᵀ R' (dimension × dimension), N·d² flops.
void covariance_matrix(const FactorRows& side, MatrixView<float> m);

}  // namespace cgfac
