// The solvers of a layer, by method, damping, block and history; and what a single layer asks of them.
#include <algorithm>
#include <cmath>

#include "core/base/error.h"
#include "core/block/finite.h"
#include "core/block/gradient.h"
#include "core/block/powers.h"
#include "core/block/solution.h"
#include "core/block/weight_vector.h"
#include "core/layer/layer.h"
#include "core/linalg/blas.h"
#include "core/operator/gram_matrices.h"
#include "core/solver/sample.h"
#include "core/solver/scaled_system.h"
#include "core/solver/woodbury.h"
#include "core/solver/woodbury_inverses.h"

namespace cgfac {
namespace {

/// Of a factor of which all is held.
FactorMoments moments(double trace, std::size_t dimension) {
  return {.trace = trace, .kept_trace = trace, .dimension = dimension, .held = dimension};
}

}  // namespace

struct Layer::Problem {
  const FisherBlock& block;
  BlockTraces traces;   // of the sides as they are
  FactorMoments input;  // of the factors, for the damping
  FactorMoments output;
  const Gradient& gradient;
  std::optional<WeightView<const float>> x0;
  const Destination& destination;
  const CancelFlag* cancel;
  Spectrum* spectrum;
  SolveDamping damping{};  // as solve() finds it

  [[nodiscard]] double lambda(const Damping& asked) const {
    const double lambda = tikhonov_damping(input, output, asked);
    require_damping(lambda);
    return lambda;
  }
  [[nodiscard]] FactoredDamping gamma(const Damping& asked) const {
    const FactoredDamping gamma = factored_damping(input, output, asked);
    require_usable(input, output, gamma);
    return gamma;
  }
};

LayerSummary Layer::solve(const Problem& problem) {
  LayerSummary summary;
  summary.method = choose(problem.block);
  summary.forms = gram_forms(problem.block);
  if (!problem.gradient.same_batch() && nothing_to_solve(problem.traces, options_.damping, problem.gradient.v)) {
    write_zero(problem.destination);
    summary.products = {.vx = 0, .xfx = 0, .xx = 0};
    return summary;
  }
  Problem damped = problem;
  if (options_.block == Block::sample) {
    summary.forms = {};
    damped.damping = {.lambda = options_.damping.value, .relative = options_.damping.relative};
  } else if (factored()) {
    damped.damping.gamma = summary.factored = problem.gamma(options_.damping);
  } else {
    damped.damping.lambda = summary.damping = problem.lambda(options_.damping);
  }
  if (summary.method == Method::kfac) {
    solve_eigen(damped, summary);
  } else if (summary.factored && averages()) {
    solve_averaged(damped, *summary.factored, summary);
  } else {
    solve_scaled(damped, summary);
  }
  return summary;
}

// As it is, or, where that may leave the range of float32, scaled by powers of two.
void Layer::solve_scaled(const Problem& problem, LayerSummary& summary) {
  const Gradient& gradient = problem.gradient;
  const bool own_is_comfortable = !gradient.same_batch() || comfortable_square(squares_in_pieces(gradient.loss_grads));
  const bool at_ease = own_is_comfortable && comfortable(problem.traces, problem.damping, problem.destination);
  if (solved_as_it_is(at_ease, [&] { solve_rows(problem, summary); })) return;
  const ScaledSystem scaled(problem.block, problem.traces, problem.damping, gradient, problem.x0, workspace_.scaled);
  solve_rows({.block = scaled.block(),
              .traces = scaled.traces(),
              .input = problem.input,
              .output = problem.output,
              .gradient = scaled.gradient(),
              .x0 = scaled.x0(),
              .destination = scaled.destination(),
              .cancel = problem.cancel,
              .spectrum = problem.spectrum,
              .damping = scaled.damping()},
             summary);
  const double norm = std::sqrt(summary.products.xx);
  scaled.write(problem.destination);
  summary.products = scaled.products(summary.products);
  if (summary.cg_fac) count_lost_digits(*summary.cg_fac, options_.cg_fac.cg, norm, problem.destination);
  if (summary.exact) summary.exact->values.lambda_max = scaled.eigenvalue(summary.exact->values.lambda_max);
  if (summary.exact && problem.spectrum != nullptr) scaled.restore(*problem.spectrum);
}

void Layer::solve_rows(const Problem& problem, LayerSummary& summary) {
  if (options_.block == Block::sample) {
    const Damping damping{.value = problem.damping.lambda, .relative = problem.damping.relative};
    summary.products =
        solve_sample(problem.block, problem.traces, damping, problem.gradient, problem.destination, workspace_.gram);
  } else if (problem.damping.gamma) {
    summary.products = solve_factored(problem.block, problem.traces, *problem.damping.gamma, problem.gradient,
                                      problem.destination, workspace_.gram);
  } else if (summary.method == Method::exact) {
    solve_spectral(problem, summary);
  } else {
    solve_cg(problem, summary);
  }
}

void Layer::solve_eigen(const Problem& problem, LayerSummary& summary) {
  const EigenDamping damping{.lambda = problem.damping.lambda, .factored = problem.damping.gamma};
  const Gradient given = given_gradient(problem.block, problem.gradient, workspace_.gram.gradient);
  summary.products = eigen_.precondition(problem.block, damping, given.v, problem.destination);
}

void Layer::solve_spectral(const Problem& problem, LayerSummary& summary) {
  const GramProblem reduced(problem.block, problem.traces, problem.gradient, exact_scratch_numbers(problem.block),
                            workspace_.gram);
  summary.exact = solve_exact(reduced, problem.damping.lambda, problem.destination, problem.spectrum);
  summary.products = summary.exact->values.products;
}

void Layer::solve_cg(const Problem& problem, LayerSummary& summary) {
  CgFacOptions options = options_.cg_fac;
  options.start_scaling = options_.warm_start == WarmStart::scaled ? StartScaling::optimal : StartScaling::plain;
  summary.cg_fac = cg_fac(problem.block, problem.traces, problem.damping.lambda, problem.gradient, problem.x0,
                          problem.destination, options, workspace_, problem.cancel, nullptr);
  if (summary.cg_fac->cg.reason == CgReason::cancelled) throw Cancelled();
  summary.products = summary.cg_fac->products;
}

// Factored damping of averages: both inverses are kept, and x is made of v in place, or apart from what is kept.
void Layer::solve_averaged(const Problem& problem, const FactoredDamping& gamma, LayerSummary& summary) {
  damp(gamma);
  summary.formed = true;
  const Gradient given = given_gradient(problem.block, problem.gradient, workspace_.gram.gradient);
  const double v_norm2 = dot(given.v, given.v);
  if (!std::isfinite(v_norm2)) throw_not_finite(problem.block, problem.gradient);
  const Destination& destination = problem.destination;
  const bool at_ease = comfortable_square(v_norm2) && comfortable(gamma.input) && comfortable(gamma.output);
  const bool direct = at_ease && destination.keep == 0 && destination.factor == 1;
  const WeightView<float> x = direct ? destination.out : problem.block.view(x_.span(shape_.size()));
  if (!at_ease) {
    // looked at when it is written where it belongs
    summary.products.vx = apply_scaled(given.v, v_norm2, gamma, x, destination);
    return;
  }
  require_range(std::sqrt(v_norm2), gamma, destination);
  const bool in_place = x.kernel.data == given.v.kernel.data;
  copy(given.v, x);
  apply_inverses(x);
  if (!in_place) summary.products.vx = dot(given.v, x);
  if (!direct) cgfac::write(x, destination);
}

// With the factors as they are.
LayerSummary Layer::solve_with_factors(const Gradient& gradient, const Given& x0, const Destination& destination,
                                       const CancelFlag* cancel, Spectrum* spectrum) {
  const FisherBlock block = this->block();
  const FactorMoments input = input_.moments();
  const FactorMoments output = output_.moments();
  return solve({.block = block,
                .traces = {.input = input.kept_trace, .output = output.kept_trace},
                .input = input,
                .output = output,
                .gradient = gradient,
                .x0 = x0,
                .destination = destination,
                .cancel = cancel,
                .spectrum = spectrum});
}

LayerSummary Layer::precondition(const std::shared_ptr<const RecordedRows>& batch, const WeightView<const float>& v,
                                 const WeightView<float>& out, const CancelFlag* cancel, Spectrum* spectrum) {
  if (averages() && !std::isfinite(dot(v, v))) throw_not_finite(batch->block(), "v", v);  // before the batch enters
  enter(batch);
  if (options_.warm_start != WarmStart::none && choose(this->block()) == Method::cg)
    (void)previous_.span(shape_.size());  // so that nothing fails in the end
  LayerSummary summary = solve_with_factors({.v = v}, previous(), {.out = out}, cancel, spectrum);
  if (!summary.cg_fac || options_.warm_start == WarmStart::none) return summary;
  has_previous_ = good_start(summary.cg_fac->cg);
  if (has_previous_) copy(out, shape_block(shape_).view(previous_.span(shape_.size())));
  return summary;
}

// The factors take a batch in, and are as before where there is no solution.
LayerSummary Layer::solve_advanced(const FisherBlock& rows, const BlockTraces& traces, const Gradient& gradient,
                                   const Destination& destination, const CancelFlag* cancel, Spectrum* spectrum) {
  advance(rows, traces, nullptr);
  try {
    const LayerSummary summary = solve_with_factors(gradient, std::nullopt, destination, cancel, spectrum);
    settle_factors();
    return summary;
  } catch (...) {
    roll_back_factors();
    --batches_;
    throw;
  }
}

LayerSummary Layer::natural_gradient(const Batch& batch, MatrixView<const float> loss_grads,
                                     const Destination& destination, const CancelFlag* cancel, Spectrum* spectrum) {
  const FisherBlock rows = fisher_block(shape_, batch);
  const BlockTraces sums = traces(rows);
  if (!std::isfinite(blas::dot(loss_grads.elements(), loss_grads.elements()))) {
    cgfac::require_finite("lossGrads", loss_grads.elements());
    throw expected(ErrorCode::not_finite, "squares within the range of float32", "lossGrads", "an overflow");
  }
  const double scale = shape_.loss_reduction == LossReduction::mean ? 1 : 1 / static_cast<double>(batch.inputs.rows);
  Gradient gradient{.loss_grads = loss_grads, .scale = scale};
  if (averages()) {
    gradient.inputs = batch.inputs;
    return solve_advanced(rows, sums, gradient, destination, cancel, spectrum);
  }
  return solve({.block = rows,
                .traces = sums,
                .input = moments(sums.input, rows.cols()),
                .output = moments(sums.output, rows.rows()),
                .gradient = gradient,
                .x0 = std::nullopt,
                .destination = destination,
                .cancel = cancel,
                .spectrum = spectrum});
}

}  // namespace cgfac
