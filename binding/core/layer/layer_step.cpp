// A step by the solvers that know no rows: the solution, its restart, and what is known of the factors; the update.
#include <algorithm>
#include <cmath>

#include "core/base/error.h"
#include "core/block/finite.h"
#include "core/block/gradient.h"
#include "core/block/weight_vector.h"
#include "core/layer/layer.h"
#include "core/linalg/blas.h"
#include "core/threads/parallel.h"

namespace cgfac {
namespace {

// Σ s·factor/(s·factor + damping)
double effective_rank(std::span<const float> eigenvalues, double factor, double damping) {
  double sum = 0;
  for (const float value : eigenvalues) {
    const double eigenvalue = factor * static_cast<double>(value);
    sum += eigenvalue / (eigenvalue + damping);
  }
  return sum;
}

// Whether a warm start is to blame for a direction that leads uphill.
bool leads_uphill(const LayerSummary& summary, double vx) {
  return summary.cg_fac && !(vx > 0) && summary.cg_fac->cg.initial_residual != 1;
}

}  // namespace

// From a start, of the gradient itself or the rows' own formed in the place of x.
LayerSummary Layer::solve_once(const Given& v, const Given& x0, const PrepareOptions& options) {
  const FisherBlock shape = shape_block(shape_);
  const WeightView<float> x = shape.view(x_.span(shape_.size()));
  if (!v) rows_->form_gradient(x);
  return solve_with_factors({.v = v ? *v : WeightView<const float>(x)}, x0, {.out = x}, options.cancel,
                            options.spectrum);
}

double Layer::own_inner_product() {
  const FisherBlock shape = shape_block(shape_);
  const WeightView<float> own = shape.view(v_.span(shape_.size()));
  rows_->form_gradient(own);
  return dot(WeightView<const float>(own), shape.view(std::span<const float>(x_.held(shape_.size()))));
}

void Layer::prepare_solved(const Given& v, const PrepareOptions& options, LayerStep& step) {
  const WeightView<const float> x = shape_block(shape_).view(std::span<const float>(x_.span(shape_.size())));
  const auto inner_product = [&](const LayerSummary& summary) {  // a solve that broke down has none of its own
    if (!std::isnan(summary.products.vx)) return summary.products.vx;
    return v ? dot(*v, x) : own_inner_product();
  };
  step.summary = solve_once(v, previous(), options);
  step.vx = inner_product(step.summary);
  if (leads_uphill(step.summary, step.vx)) {
    step.summary = solve_once(v, std::nullopt, options);
    step.vx = inner_product(step.summary);
    step.restarted = true;
  }
  const double xx = step.summary.products.xx;
  bound_ = std::sqrt(std::isnan(xx) ? dot(x, x) : xx);
  direction_ = Direction::formed;
  if (!step.summary.cg_fac || options_.warm_start == WarmStart::none) return;
  solution_ = good_start(step.summary.cg_fac->cg) ? Solution::kept : Solution::broken;
}

// The eigenvalues of each factor as far as the method has come by them.
void Layer::describe(LayerStep& step) const {
  step.traces = {.input = input_.moments().trace, .output = output_.moments().trace};
  if (own_inverses()) {
    step.largest = {.input = input_inverse_.largest(), .output = output_inverse_.largest()};
    step.effective_ranks = {.input = input_inverse_.effective_rank(), .output = output_inverse_.effective_rank()};
    return;
  }
  if (options_.method != Method::kfac) {
    step.largest = {.input = largest_eigenvalue(input_.side()), .output = largest_eigenvalue(output_.side())};
    if (step.summary.exact) step.effective_rank = step.summary.exact->values.effective_rank;
    return;
  }
  const std::span<const float> input = eigen_.input_values();
  const std::span<const float> output = eigen_.output_values();
  step.largest = {.input = static_cast<double>(input.back()), .output = static_cast<double>(output.back())};
  if (step.summary.factored) {
    step.effective_ranks = {.input = effective_rank(input, 1, step.summary.factored->input),
                            .output = effective_rank(output, 1, step.summary.factored->output)};
    return;
  }
  step.effective_rank = 0;
  for (const float value : output)
    step.effective_rank += effective_rank(input, static_cast<double>(value), step.summary.damping);
}

double Layer::write(const LayerUpdate& update) const {
  if (!(update.largest > 0)) {
    write_once(update);
    return 1;
  }
  // M alone; then what follows from it
  write_once({.step_size = update.step_size, .momentum = update.momentum, .kept = update.kept});
  const WeightView<float> m = first_of(update).array;
  const double size = std::sqrt(dot(m, m));
  const double factor = size > update.largest ? update.largest / size : 1;
  if (factor < 1) scale(static_cast<float>(factor), m);
  finish_all(update);
  return factor;
}

void Layer::write_once(const LayerUpdate& update) const {
  if (!(bound_ * std::max(1.0, std::abs(update.step_size)) <= largest_norm)) {
    throw expected(ErrorCode::not_finite, "a direction within the range of float32",
                   "inputs, outputGrads and lossGrads", "an overflow");
  }
  switch (direction_) {
    case Direction::none:
      throw expected(ErrorCode::no_record, "a direction from prepare()", "the step", "none");
    case Direction::zero:
      update_by_zero(update);
      return;
    case Direction::rows:
      write_rows(update);
      return;
    case Direction::formed:
      update_all(update, shape_block(shape_).view(std::span<const float>(x_.held(shape_.size()))));
  }
}

// M ← μM + scale·η·Z_gᵀ Z_a; where no M is kept, v ← scale·η·Z_gᵀ Z_a of a gradient that is rewritten, else
// W ← (1 − η·weightDecay)·W − scale·η·Z_gᵀ Z_a: a block of what is contiguous in the kernel at a time, and the rest of
// the update while the block is at hand.
void Layer::write_rows(const LayerUpdate& update) const {
  const std::size_t count = direction_rows_;
  const std::size_t features = shape_.in_features;
  const MatrixView<const float> z_input = z_input_.held_matrix(count, input_.dimension());
  const MatrixView<const float> z_output = z_output_.held_matrix(count, output_.dimension());
  const FirstArray first_array = first_of(update);
  const auto beta = static_cast<float>(first_array.keep);
  const auto factor = static_cast<float>(first_array.factor * direction_scale_);
  const WeightView<float>& target = first_array.array;
  const bool by_rows = shape_.layout == KernelLayout::out_in;
  const std::size_t extent = by_rows ? shape_.out_features : features;
  const std::size_t width = by_rows ? features : shape_.out_features;
  const Split split = Split::columns(extent, product_flops(shape_.out_features, count, features));
  parallel_for(split.blocks(), [&](std::size_t i) {
    const std::size_t first = split.first(i);
    const std::size_t lines = split.count(i);
    if (by_rows) {
      blas::gemm(factor, z_output.columns(first, lines).transposed(), z_input.columns(0, features), beta,
                 target.kernel.rows_from(first, lines));
    } else {
      blas::gemm(factor, z_output.transposed(), z_input.columns(first, lines), beta,
                 target.kernel.columns(first, lines));
    }
    finish_piece(update, kernel_piece(update, first * width, lines * width));
  });
  if (target.bias.empty()) return;
  blas::gemm(factor, z_output.transposed(), z_input.columns(features, 1), beta,
             {target.bias.data(), target.bias.size(), 1});
  finish_piece(update, bias_piece(update));
}

}  // namespace cgfac
