#pragma once

#include <span>

#include "core/base/matrix_view.h"
#include "core/block/fisher_block.h"

/// The symmetric matrices of Gram space, one for each side: Gram matrices of panels, or the factors themselves.
namespace cgfac {

/// The form of each side in Gram space: a covariance where N exceeds the side's dimension, or the factor is given.
[[nodiscard]] BlockForms gram_forms(const FisherBlock& block);

/// The rows and columns of a projected matrix U, C, …: as many as the output side's form leaves, and the input side's.
struct ProjectedShape {
  std::size_t q;
  std::size_t p;

  ProjectedShape(const FisherBlock& block, const BlockForms& forms)
      : q(projected_size(block.output, forms.output)), p(projected_size(block.input, forms.input)) {}
};

/// The symmetric matrix of each side in the given form, K = PᵀP or the factor, in float64 with both triangles. Of rows
/// it is formed in float32, N²·d or N·d² flops, split over the pool threads; `scratch` has room for both in float32.
void form_matrices(const FisherBlock& block, const BlockForms& forms, MatrixView<double> input,
                   MatrixView<double> output, std::span<double> scratch);

/// out ← g g_vᵀ, N_g × B, and with `own` the lower triangle of g_v g_vᵀ.
void form_cross(MatrixView<const float> g, MatrixView<const float> loss_grads, MatrixView<float> cross,
                const MatrixView<float>& own);

}  // namespace cgfac
