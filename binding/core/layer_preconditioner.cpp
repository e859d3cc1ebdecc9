#include "core/layer_preconditioner.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <span>
#include <utility>

#include "core/blas.h"
#include "core/cost.h"
#include "core/error.h"
#include "core/sample_solver.h"

namespace cgfac {

FisherBlock fisher_block(const LayerShape& shape, const Batch& batch) {
  const auto input_rows = static_cast<double>(batch.inputs.rows);
  const auto output_rows = static_cast<double>(batch.output_grads.rows);
  const double reduction = shape.loss_reduction == LossReduction::mean ? input_rows : 1;  // g carries 1/B
  return {.input = {.rows = batch.inputs, .homogeneous = shape.bias, .scale = 1 / input_rows},
          .output = {.rows = batch.output_grads, .homogeneous = false, .scale = reduction * reduction / output_rows},
          .layout = shape.layout};
}

RecordedBatch::RecordedBatch(const LayerShape& shape, const Batch& batch)
    : inputs_(batch.inputs.elements().begin(), batch.inputs.elements().end()),
      output_grads_(batch.output_grads.elements().begin(), batch.output_grads.elements().end()),
      block_(fisher_block(shape,
                          {.inputs = {inputs_.data(), batch.inputs.rows, batch.inputs.cols},
                           .output_grads = {output_grads_.data(), batch.output_grads.rows, batch.output_grads.cols}})),
      traces_(cgfac::traces(block_)) {}

void LayerPreconditioner::record(const Batch& batch) {
  batch_ = std::make_shared<const RecordedBatch>(shape_, batch);
}

std::shared_ptr<const RecordedBatch> LayerPreconditioner::batch() const {
  if (!batch_) throw expected(ErrorCode::no_record, "a batch from record()", "precondition", "none");
  return batch_;
}

Method LayerPreconditioner::choose(const FisherBlock& block) const {
  if (options_.method != Method::automatic) return options_.method;
  // What only one method can do; else the cheaper, and of two that cost the same the solution rather than its approximation.
  if (options_.damping_mode == DampingMode::factored || options_.block == Block::sample) return Method::exact;
  constexpr double same = 1.15;
  const int iterations = options_.cg_fac.cg.max_iterations;
  const double cg = std::min(cost::gram_cg(block, iterations), cost::weight_cg(block, iterations));
  return cost::exact(block) <= same * cg ? Method::exact : Method::cg;
}

double LayerPreconditioner::estimated_cost(const FisherBlock& block) const {
  const int iterations = options_.cg_fac.cg.max_iterations;
  if (options_.method == Method::kfac) {
    const auto m = static_cast<double>(block.rows());
    const auto n = static_cast<double>(block.cols());
    return 30 * ((m * m * m) + (n * n * n));
  }
  return choose(block) == Method::exact
             ? cost::exact(block)
             : std::min(cost::gram_cg(block, iterations), cost::weight_cg(block, iterations));
}

LayerSummary LayerPreconditioner::solve(const FisherBlock& block, const BlockTraces& traces, const Gradient& gradient,
                                        const std::optional<WeightView<const float>>& x0,
                                        const Destination& destination, const CancelFlag* cancel, Spectrum* spectrum) {
  LayerSummary summary;
  summary.method = choose(block);
  if (!gradient.same_batch() && nothing_to_solve(traces, options_.damping, gradient.v)) {
    write_zero(destination);
    summary.products = {.vx = 0, .xfx = 0, .xx = 0};
    return summary;
  }
  if (options_.block == Block::sample) {
    summary.products = solve_sample(block, traces, options_.damping, gradient, destination, workspace_.gram);
    return summary;
  }
  if (summary.method == Method::kfac) {
    WeightView<const float> v = gradient.v;
    if (gradient.same_batch()) {
      const WeightView<float> own = block.view(workspace_.gram.gradient.span(block.size()));
      form_gradient(block, gradient, own);
      v = own;
    }
    DirectKfac::Inverse inverse;
    if (options_.damping_mode == DampingMode::factored) {
      summary.factored = factored_damping(block, kfac_.traces(), options_.damping);
      inverse.factored = &*summary.factored;
    } else {
      summary.damping = inverse.damping = checked_damping(block, kfac_.traces(), options_.damping);
    }
    summary.products = kfac_.precondition(block, inverse, v, destination);
    return summary;
  }
  if (options_.damping_mode == DampingMode::factored) {
    summary.factored = factored_damping(block, traces, options_.damping);
    summary.forms = gram_forms(block);
    summary.products = solve_factored(block, traces, *summary.factored, gradient, destination, workspace_.gram);
    return summary;
  }
  summary.damping = checked_damping(block, traces, options_.damping);
  if (summary.method == Method::exact) {
    const GramProblem problem(block, traces, gradient, exact_scratch_numbers(block), workspace_.gram);
    summary.forms = problem.forms();
    summary.exact = solve_exact(problem, summary.damping, destination, spectrum);
    summary.products = summary.exact->values.products;
    return summary;
  }
  CgFacOptions options = options_.cg_fac;
  options.start_scaling = options_.warm_start == WarmStart::scaled ? StartScaling::optimal : StartScaling::plain;
  summary.cg_fac =
      cg_fac(block, traces, summary.damping, gradient, x0, destination, options, workspace_, cancel, nullptr);
  summary.forms = gram_forms(block);
  summary.products = summary.cg_fac->products;
  return summary;
}

LayerSummary LayerPreconditioner::precondition(const std::shared_ptr<const RecordedBatch>& batch,
                                               const WeightView<const float>& v, const WeightView<float>& out,
                                               const CancelFlag* cancel, Spectrum* spectrum) {
  const FisherBlock& block = batch->block();
  if (options_.method == Method::kfac && averaged_.lock() != batch) {
    if (!std::isfinite(dot(v, v))) throw_not_finite(block, "v", v);  // before the batch enters the averages
    kfac_.update(block);
    averaged_ = batch;
  }
  std::optional<WeightView<const float>> x0;
  if (options_.warm_start != WarmStart::none && has_previous_)
    x0 = block.view(std::span<const float>(previous_.span(block.size())));

  LayerSummary summary = solve(block, batch->traces(), {.v = v}, x0, {.out = out}, cancel, spectrum);
  if (!summary.cg_fac || options_.warm_start == WarmStart::none) return summary;
  const CgReason reason = summary.cg_fac->cg.reason;
  if (reason == CgReason::cancelled) return summary;
  has_previous_ = reason == CgReason::converged || reason == CgReason::max_iterations;
  if (has_previous_) copy(out, block.view(previous_.span(block.size())));
  return summary;
}

LayerSummary LayerPreconditioner::natural_gradient(const Batch& batch, MatrixView<const float> loss_grads,
                                                   const Destination& destination, const CancelFlag* cancel,
                                                   Spectrum* spectrum) {
  const FisherBlock block = fisher_block(shape_, batch);
  const BlockTraces sums = traces(block);
  if (!std::isfinite(blas::dot(loss_grads.elements(), loss_grads.elements()))) {
    require_finite("lossGrads", loss_grads.elements());
    throw expected(ErrorCode::not_finite, "squares within the range of float32", "lossGrads", "an overflow");
  }
  if (options_.method == Method::kfac) kfac_.update(block);
  const double scale = shape_.loss_reduction == LossReduction::mean ? 1 : 1 / static_cast<double>(batch.inputs.rows);
  return solve(block, sums, {.v = {}, .loss_grads = loss_grads, .scale = scale}, std::nullopt, destination, cancel,
               spectrum);
}

LayerState LayerPreconditioner::state() const {
  const std::size_t m = shape_.out_features;
  const std::size_t n = shape_.in_features + (shape_.bias ? 1 : 0);
  LayerState state;
  state.kfac = kfac_.state(m, n);
  if (has_previous_) {
    const std::span<float> previous = previous_.held(m * n);
    state.previous.assign(previous.begin(), previous.end());
  }
  if (!batch_) return state;
  const auto& [input, output, layout] = batch_->block();
  state.input_rows = input.rows.rows;
  state.output_rows = output.rows.rows;
  state.inputs.assign(input.rows.elements().begin(), input.rows.elements().end());
  state.output_grads.assign(output.rows.elements().begin(), output.rows.elements().end());
  state.averaged = averaged_.lock() == batch_;
  return state;
}

void LayerPreconditioner::restore(const LayerState& state) {
  const std::size_t m = shape_.out_features;
  const std::size_t n = shape_.in_features + (shape_.bias ? 1 : 0);
  const bool fits = state.inputs.size() == state.input_rows * shape_.in_features &&
                    state.output_grads.size() == state.output_rows * m &&
                    (state.input_rows > 0) == (state.output_rows > 0) &&
                    (state.previous.empty() || state.previous.size() == m * n);
  if (!fits) throw expected(ErrorCode::shape_mismatch, "the state of a layer like this one", "state", "another");
  require_finite("the previous solution of a state", state.previous);
  std::shared_ptr<const RecordedBatch> batch;
  if (state.input_rows > 0) {
    batch = std::make_shared<const RecordedBatch>(
        shape_, Batch{.inputs = {state.inputs.data(), state.input_rows, shape_.in_features},
                      .output_grads = {state.output_grads.data(), state.output_rows, m}});
  }
  kfac_.restore(state.kfac, m, n);
  batch_ = std::move(batch);
  averaged_.reset();
  if (state.averaged) averaged_ = batch_;
  has_previous_ = !state.previous.empty();
  std::ranges::copy(state.previous, previous_.span(state.previous.size()).data());
}

void LayerPreconditioner::reset() {
  batch_.reset();
  averaged_.reset();
  kfac_.reset();
  has_previous_ = false;
}

LayerMemory LayerPreconditioner::memory() const {
  return {.batch = batch_ ? batch_->bytes() : 0,
          .workspace = workspace_.bytes(),
          .previous = previous_.bytes(),
          .factors = kfac_.bytes()};
}

}  // namespace cgfac
