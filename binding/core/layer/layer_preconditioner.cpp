#include "core/layer/layer_preconditioner.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <span>
#include <utility>

#include "core/base/error.h"
#include "core/block/finite.h"
#include "core/block/weight_vector.h"
#include "core/linalg/blas.h"
#include "core/solver/cost.h"
#include "core/solver/sample.h"

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

// The rows, and behind them the first `added` of an earlier batch.
std::vector<float> filled_up(const MatrixView<const float>& rows, const std::vector<float>& before, std::size_t added) {
  std::vector<float> all(rows.elements().begin(), rows.elements().end());
  all.insert(all.end(), before.begin(), before.begin() + static_cast<std::ptrdiff_t>(added * rows.cols));
  return all;
}

// How many rows of `before` fill up a batch: to as many input rows, and to output rows of the same share.
RowCounts added_rows(const Batch& batch, const RowCounts& before) {
  if (batch.inputs.rows >= before.input) return {};
  const std::size_t wanted = batch.output_grads.rows * before.input / batch.inputs.rows;
  return {.input = before.input - batch.inputs.rows,
          .output = std::min(wanted - std::min(wanted, batch.output_grads.rows), before.output)};
}

}  // namespace

FisherBlock fisher_block(const LayerShape& shape, const Batch& batch) {
  const auto input_rows = static_cast<double>(batch.inputs.rows);
  const auto output_rows = static_cast<double>(batch.output_grads.rows);
  const double reduction = shape.loss_reduction == LossReduction::mean ? input_rows : 1;  // g carries 1/B
  return {.input = {.rows = batch.inputs, .homogeneous = shape.bias, .scale = 1 / input_rows},
          .output = {.rows = batch.output_grads, .homogeneous = false, .scale = reduction * reduction / output_rows},
          .layout = shape.layout};
}

RecordedBatch::RecordedBatch(const LayerShape& shape, const Batch& batch, const RecordedBatch* before)
    : own_{.input = batch.inputs.rows, .output = batch.output_grads.rows},
      inputs_(filled_up(batch.inputs, before == nullptr ? std::vector<float>{} : before->inputs_,
                        before == nullptr ? 0 : added_rows(batch, before->own_).input)),
      output_grads_(filled_up(batch.output_grads, before == nullptr ? std::vector<float>{} : before->output_grads_,
                              before == nullptr ? 0 : added_rows(batch, before->own_).output)),
      block_(fisher_block(shape, {.inputs = {inputs_.data(), inputs_.size() / shape.in_features, shape.in_features},
                                  .output_grads = {output_grads_.data(), output_grads_.size() / shape.out_features,
                                                   shape.out_features}})),
      traces_(cgfac::traces(block_)) {}

RecordedBatch::RecordedBatch(const LayerShape& shape, const Batch& batch, const RowCounts& own)
    : RecordedBatch(shape, batch) {
  own_ = own;
}

void LayerPreconditioner::record(const Batch& batch, ShortBatch short_batch) {
  const RecordedBatch* const before = short_batch == ShortBatch::filled_up ? batch_.get() : nullptr;
  auto next = std::make_shared<const RecordedBatch>(shape_, batch, before);
  before_ = std::exchange(batch_, std::move(next));
  can_roll_back_ = true;
}

void LayerPreconditioner::roll_back() {
  if (!can_roll_back_ || averaged_.lock() == batch_) return;
  batch_ = std::move(before_);
  settle();
}

void LayerPreconditioner::settle() {
  before_.reset();
  can_roll_back_ = false;
}

std::shared_ptr<const RecordedBatch> LayerPreconditioner::batch() const {
  if (!batch_) throw expected(ErrorCode::no_record, "a batch from record()", "precondition", "none");
  return batch_;
}

Method LayerPreconditioner::choose(const FisherBlock& block) const {
  if (options_.method != Method::automatic) return options_.method;
  // What only one method can do; else the cheaper, and of two that cost the same the solution rather than its
  // approximation.
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

bool LayerPreconditioner::has_damping() const {
  const std::shared_ptr<const RecordedBatch> recorded = batch();
  const FisherBlock& block = recorded->block();
  const bool enters = options_.method == Method::kfac && averaged_.lock() != recorded;
  const BlockTraces averaged = enters ? kfac_.traces_with(recorded->traces()) : kfac_.traces();
  const BlockTraces sums = options_.method == Method::kfac ? averaged : recorded->traces();
  const auto usable = [](double damping) {
    return damping >= static_cast<double>(std::numeric_limits<float>::min()) &&
           damping <= static_cast<double>(std::numeric_limits<float>::max());
  };
  if (options_.damping_mode == DampingMode::tikhonov) return usable(absolute_damping(block, sums, options_.damping));
  if (!(sums.input > 0 && sums.output > 0)) return false;
  const FactoredDamping gamma = factored_gammas(block, sums, options_.damping);
  return usable(gamma.input) && usable(gamma.output);
}

FactorSpectra LayerPreconditioner::factor_spectra() const {
  const std::shared_ptr<const RecordedBatch> recorded = batch();
  const FisherBlock& block = recorded->block();
  if (options_.method != Method::kfac) {
    return {.traces = recorded->traces(),
            .input_largest = largest_eigenvalue(block.input),
            .output_largest = largest_eigenvalue(block.output)};
  }
  FactorSpectra spectra{.traces = kfac_.traces()};
  const std::span<const float> input = kfac_.input_values(block.cols());
  const std::span<const float> output = kfac_.output_values(block.rows());
  spectra.input_largest = static_cast<double>(input.back());  // ascending
  spectra.output_largest = static_cast<double>(output.back());
  if (options_.damping_mode == DampingMode::factored) {
    const FactoredDamping gamma = factored_gammas(block, kfac_.traces(), options_.damping);
    spectra.input_effective_rank = effective_rank(input, 1, gamma.input);
    spectra.output_effective_rank = effective_rank(output, 1, gamma.output);
    return spectra;
  }
  const double lambda = absolute_damping(block, kfac_.traces(), options_.damping);
  spectra.effective_rank = 0;
  for (const float value : output) spectra.effective_rank += effective_rank(input, static_cast<double>(value), lambda);
  return spectra;
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
  state.own = batch_->own();
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
                    (state.input_rows > 0) == (state.output_rows > 0) && state.own.input <= state.input_rows &&
                    state.own.output <= state.output_rows && (state.previous.empty() || state.previous.size() == m * n);
  if (!fits) throw expected(ErrorCode::shape_mismatch, "the state of a layer like this one", "state", "another");
  require_finite("the previous solution of a state", state.previous);
  std::shared_ptr<const RecordedBatch> batch;
  if (state.input_rows > 0) {
    batch = std::make_shared<const RecordedBatch>(
        shape_,
        Batch{.inputs = {state.inputs.data(), state.input_rows, shape_.in_features},
              .output_grads = {state.output_grads.data(), state.output_rows, m}},
        state.own);
  }
  kfac_.restore(state.kfac, m, n);
  batch_ = std::move(batch);
  settle();
  averaged_.reset();
  if (state.averaged) averaged_ = batch_;
  has_previous_ = !state.previous.empty();
  std::ranges::copy(state.previous, previous_.span(state.previous.size()).data());
}

void LayerPreconditioner::reset() {
  batch_.reset();
  settle();
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
