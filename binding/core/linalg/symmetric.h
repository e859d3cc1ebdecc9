#pragma once

#include "core/base/matrix_view.h"

/// Symmetric matrices of which products fill the lower triangle alone.
namespace cgfac {

/// K ← factor · X Xᵀ, lower triangle, in pieces that pool threads share. rows²·cols flops.
void gram_in_pieces(double factor, MatrixView<const float> x, MatrixView<float> k);
/// The lower triangle of a matrix in float64.
void widen_lower(MatrixView<const float> from, MatrixView<double> to);
/// The upper triangle becomes the lower one.
void mirror_lower(MatrixView<float> x);
/// ⟨X, Y⟩ of symmetric matrices, of which X has its lower triangle only.
[[nodiscard]] double dot_of_lower(MatrixView<const float> x, MatrixView<const float> y);
/// The trace of a matrix.
[[nodiscard]] double trace(MatrixView<const float> x);

}  // namespace cgfac
