#include "core/operator/gram_problem.h"

#include <algorithm>
#include <cmath>

#include "core/base/error.h"
#include "core/block/comfort.h"
#include "core/block/finite.h"
#include "core/block/passes.h"
#include "core/linalg/blas.h"
#include "core/linalg/tiles.h"

namespace cgfac {
GramProblem::GramProblem(const FisherBlock& block, const BlockTraces& traces, const Gradient& gradient,
                         std::size_t solver_numbers, GramWorkspace& workspace)
    : block_(block), traces_(traces), gradient_(gradient), forms_(gram_forms(block)) {
  const auto [q, p] = ProjectedShape(block, forms_);
  const std::size_t matrices = (p * p) + (q * q) + (((q * p) + 1) / 2);
  const std::size_t widest = std::max(p, q);
  const std::size_t squares = arena_numbers(widest);
  const std::size_t forming = ((p * p) + (q * q) + 2) / 2 + 2;  // the matrices in float32
  const std::size_t own = gradient.same_batch() ? (3 * widest * widest) + 4 : 0;
  const std::size_t pass = (pass_scratch(block, forms_, 2 * (squares - std::min(squares, matrices))) + 1) / 2;
  Carver arena(workspace.arena.span(matrices + std::max({solver_numbers, pass, forming, own})));
  input_matrix_ = arena.doubles(p, p);
  output_matrix_ = arena.doubles(q, q);
  u_ = arena.floats(q, p);
  scratch_ = arena.rest();

  if (!(forms_.panels() && has_block_inputs(block, gradient)))
    gradient_ = given_gradient(block, gradient, workspace.gradient);
  form_matrices(block_, forms_, input_matrix_, output_matrix_, scratch_);
  if (gradient_.same_batch()) {
    project_own_gradient(scratch_);
    if (nearly_cancels(block_, gradient_, v_norm2_)) gradient_ = wide_gradient(block_, gradient_, workspace.gradient);
  }
  if (!gradient_.same_batch()) v_norm2_ = cgfac::project(block_, forms_, gradient_.v, u_, as_floats(scratch_));
  require_comfortable(gradient_, v_norm2_);
  // NaN or infinity in the rows showed in the traces; what is left are those of v, and products beyond float32.
  const double sum = v_norm2_ + blas::square(u_.elements()) +
                     blas::dot(input_matrix_.elements(), input_matrix_.elements()) +
                     blas::dot(output_matrix_.elements(), output_matrix_.elements());
  if (!std::isfinite(sum)) throw_not_finite(block_, gradient);
}

// v = scale · g_vᵀ [a 1]:  U = P_gᵀ g_vᵀ [a 1] P_a · scale = (√scale_g · g g_vᵀ) (K_a/√scale_a) · scale
// and ‖v‖² = scale² ⟨g_v g_vᵀ, K_a/scale_a⟩
void GramProblem::project_own_gradient(std::span<double> scratch) {
  Carver carver(scratch);
  const MatrixView<const float>& g = block_.output.rows;
  const MatrixView<const float>& own = gradient_.loss_grads;
  const std::size_t batch = own.rows;
  const MatrixView<float> kernel = carver.floats(batch, batch);
  const MatrixView<float> cross = carver.floats(g.rows, batch);
  const MatrixView<float> inputs = carver.floats(batch, batch);
  const double input_scale = block_.input.scale;
  const double output_scale = block_.output.scale;
  const double cross_scale = std::sqrt(output_scale) * gradient_.scale / std::sqrt(input_scale);
  narrow(input_matrix_, inputs);
  if (empirical(block_, gradient_)) {
    narrow(output_matrix_, cross);
    gemm_in_tiles(static_cast<float>(cross_scale / output_scale), cross, inputs, 0.0F, u_);
    v_norm2_ = blas::dot(output_matrix_.elements(), input_matrix_.elements()) / output_scale;
  } else {
    form_cross(g, own, cross, kernel);
    gemm_in_tiles(static_cast<float>(cross_scale), cross, inputs, 0.0F, u_);
    for (std::size_t i = 0; i < batch; ++i) {
      for (std::size_t j = 0; j < i; ++j) v_norm2_ += 2 * static_cast<double>(kernel(i, j)) * input_matrix_(i, j);
      v_norm2_ += static_cast<double>(kernel(i, i)) * input_matrix_(i, i);
    }
  }
  v_norm2_ *= gradient_.scale * gradient_.scale / input_scale;
  v_norm2_ = std::isnan(v_norm2_) ? v_norm2_ : std::max(v_norm2_, 0.0);  // rounding of a sum that is 0
}

double GramProblem::project(const WeightView<const float>& x0, MatrixView<float> out, std::span<double> scratch) const {
  return cgfac::project(block_, forms_, x0, out, as_floats(scratch));
}

void GramProblem::expand(double s, MatrixView<const float> c, const Destination& destination,
                         std::span<double> scratch) const {
  const double norm_c = std::sqrt(blas::square(c.elements()));
  if (!(norm_c <= largest_norm)) {
    throw expected(ErrorCode::not_finite, "a solution within the range of float32", "inputs, outputGrads and v",
                   "an overflow");
  }
  const double multiple = std::abs(s * destination.factor);
  if (!(multiple <= largest_norm && multiple * std::sqrt(v_norm2_) <= largest_norm))
    throw_not_finite(block_, gradient_);
  cgfac::expand(block_, forms_, traces_, s, gradient_, c, norm_c, destination, as_floats(scratch));
}

}  // namespace cgfac
