#pragma once

#include "core/base/buffer.h"
#include "core/base/matrix_view.h"
#include "core/block/fisher_block.h"

namespace cgfac {

/// A right-hand side: a gradient v that is given, or a batch's own, scale · g_vᵀ [a 1]. The latter is never formed
/// where its input rows a are those of the input side and both sides are panels.
struct Gradient {
  WeightView<const float> v{};           ///< where it is given
  MatrixView<const float> loss_grads{};  ///< g_v, B × m, where it is a batch's own
  /// a, B × inFeatures, where the gradient is a batch's own and the input side does not have that batch's rows; a layer
  /// with a bias adds the 1. None: the rows of the input side.
  MatrixView<const float> inputs{};
  double scale = 1;     ///< of g_vᵀ [a 1]: 1/B, or 1 where g_v carries it
  bool scaled = false;  ///< whether v is as near to 1 as can be, so that its norm is not looked at

  [[nodiscard]] bool same_batch() const { return loss_grads.data != nullptr; }
};

/// Whether a batch's own gradient is made of the input side's own rows.
[[nodiscard]] bool has_block_inputs(const FisherBlock& block, const Gradient& gradient);
/// Whether it is made of the rows of both sides: the empirical Fisher, v = P_g P_aᵀ to a factor.
[[nodiscard]] bool empirical(const FisherBlock& block, const Gradient& gradient);

/// Whether a batch's own gradient is so small that it may be summed in float64, where its rows nearly cancel.
[[nodiscard]] bool may_be_wide(const FisherBlock& block, const Gradient& gradient);
/// Whether a small batch's own gradient, of the norm that is given, is what remains of rows that nearly cancel: what
/// float32 rounds in their sums counts then, and float64 costs nothing.
[[nodiscard]] bool nearly_cancels(const FisherBlock& block, const Gradient& gradient, double v_norm2);
/// ‖v‖² in float64, of such a gradient.
[[nodiscard]] double wide_norm2(const FisherBlock& block, const Gradient& gradient);
/// The gradient as one that is given, v/2^exponent summed in float64 in `memory`: of gradients that nearly cancel.
[[nodiscard]] Gradient wide_gradient(const FisherBlock& block, const Gradient& gradient, Buffer<float>& memory,
                                     int exponent = 0);
/// v ← scale · g_vᵀ [a 1], the product that `expand` saves where it can. 2·B·m·n flops.
void form_gradient(const FisherBlock& block, const Gradient& gradient, const WeightView<float>& v);
/// The gradient as one that is given: itself, or a batch's own formed in `memory`.
[[nodiscard]] Gradient given_gradient(const FisherBlock& block, const Gradient& gradient, Buffer<float>& memory);

}  // namespace cgfac
