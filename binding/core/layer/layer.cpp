#include "core/layer/layer.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <string>
#include <utility>

#include "core/base/error.h"
#include "core/block/finite.h"
#include "core/block/weight_vector.h"
#include "core/solver/cost.h"

namespace cgfac {
namespace {

// Eigenvectors are rows of norm 1, their values ascend from 0 on; of other sizes `EigenBases::restore` knows.
void require_bases(std::span<const float> vectors, std::span<const float> values) {
  constexpr double rounding = 1e-3;
  cgfac::require_finite("the factors of a state", vectors);
  cgfac::require_finite("the factors of a state", values);
  const std::size_t d = values.size();
  bool found = std::ranges::is_sorted(values) && (d == 0 || values.front() >= 0);
  for (std::size_t k = 0; found && vectors.size() == d * d && k < d; ++k) {
    double norm2 = 0;
    for (const float number : vectors.subspan(k * d, d))
      norm2 += static_cast<double>(number) * static_cast<double>(number);
    found = std::abs(norm2 - 1) <= rounding;
  }
  if (!found)
    throw expected(ErrorCode::invalid_value, "eigenvectors of norm 1 with ascending eigenvalues of 0 and more",
                   "the state", "others");
}

}  // namespace

void require_solver(const LayerOptions& options) {
  const bool averages = options.factor.history != FactorHistory::none;
  const auto refuse = [](const char* allowed, const char* name, const char* received) {
    throw expected(ErrorCode::invalid_value, allowed, name, received);
  };
  if (options.damping_mode == DampingMode::factored && options.method == Method::cg)
    refuse("'exact', 'kfac' or 'auto' with dampingMode 'factored'", "method", "'cg'");
  if (options.method == Method::kfac && options.factor.history != FactorHistory::dense)
    refuse("'dense' with method 'kfac'", "factorHistory", "another");
  if (options.block != Block::sample) return;
  if (options.damping_mode == DampingMode::factored)
    refuse("'tikhonov' with block 'sample'", "dampingMode", "'factored'");
  if (options.method == Method::cg || options.method == Method::kfac)
    refuse("'exact' or 'auto' with block 'sample'", "method", "another");
  if (averages) refuse("'none' with block 'sample'", "factorHistory", "an average");
}

Layer::Layer(const LayerShape& shape, const LayerOptions& options)
    : shape_(shape),
      options_(options),
      rows_(std::make_shared<RecordedRows>(shape)),
      input_(kind_of(shape).input_factor(shape, options.factor)),
      output_(kind_of(shape).output_factor(shape, options.factor)) {
  require_solver(options);
  if (kind_of(shape).any_solver()) return;
  // one solver, whatever that of the other layers is
  options_.method = Method::exact;
  options_.damping_mode = DampingMode::factored;
}

bool Layer::own_inverses() const {
  return factored() && options_.method != Method::kfac;
}

FisherBlock Layer::block() const {
  return {.input = input_.side(), .output = output_.side(), .layout = shape_.layout};
}

std::optional<WeightView<const float>> Layer::previous() const {
  if (options_.warm_start == WarmStart::none || !has_previous_) return std::nullopt;
  return shape_block(shape_).view(std::span<const float>(previous_.held(shape_.size())));
}

// What only one method can do; else the cheaper, and of two that cost the same the solution rather than its
// approximation.
Method Layer::choose(const FisherBlock& block) const {
  if (options_.method != Method::automatic) return options_.method;
  if (factored() || options_.block == Block::sample) return Method::exact;
  constexpr double same = 1.15;
  const int iterations = options_.cg_fac.cg.max_iterations;
  const double cg = std::min(cost::gram_cg(block, iterations), cost::weight_cg(block, iterations));
  return cost::exact(block) <= same * cg ? Method::exact : Method::cg;
}

double Layer::estimated_cost() const {
  const KindOfLayer& kind = kind_of(shape_);
  if (!kind.any_solver()) return static_cast<double>(shape_.size());
  const FisherBlock block = rows_->empty() || !kind.by_rows() ? this->block() : rows_->block();
  const auto m = static_cast<double>(block.rows());
  const auto n = static_cast<double>(block.cols());
  if (options_.method == Method::kfac) return 30 * ((m * m * m) + (n * n * n));
  if (own_inverses() && averages()) {
    const auto rows = static_cast<double>(block.input.count());
    return (rows * m * n) + (rows * rows * (m + n));
  }
  const int iterations = options_.cg_fac.cg.max_iterations;
  return choose(block) == Method::exact
             ? cost::exact(block)
             : std::min(cost::gram_cg(block, iterations), cost::weight_cg(block, iterations));
}

// Rows that the factors have, or that were handed out, stay as they are.
RecordedRows& Layer::own_rows() {
  if (rows_.use_count() > 1) rows_ = std::make_shared<RecordedRows>(*rows_);
  return *rows_;
}

void Layer::record(MatrixView<const float> inputs, MatrixView<const float> loss_grads, std::size_t samples,
                   double factor, SampleRange range) {
  own_rows().append(inputs, loss_grads, samples, factor, range);
  fresh_ = false;
}

void Layer::record_fisher(MatrixView<const float> output_grads, double factor, bool for_factors, std::size_t samples) {
  own_rows().append_fisher(output_grads, factor, for_factors, samples);
  fresh_ = false;
}

void Layer::set_patches(const PatchShape& patches) {
  if (!rows_->empty())
    throw expected(ErrorCode::shape_mismatch, "samples of one size in a step", "inputs", "two sizes");
  shape_.patches = patches;
  spare_.clear();
  rows_ = std::make_shared<RecordedRows>(shape_);
  fresh_ = false;
}

void Layer::require_finite() {
  rows_->require_finite();
}

void Layer::record_batch(const Batch& batch) {
  rows_ = std::make_shared<RecordedRows>(shape_, batch);
}

std::shared_ptr<const RecordedRows> Layer::batch() const {
  if (rows_->empty()) throw expected(ErrorCode::no_record, "a batch from record()", "precondition", "none");
  return rows_;
}

// Rows that outnumber those of the batch before fill nothing up. Sampled targets of half a batch are no short batch:
// the output side is filled up by the same share.
void Layer::take_in(Factor::Fresh input, Factor::Fresh output) {
  const std::size_t count = input.rows.count();
  const auto share = static_cast<double>(output.rows.count()) / static_cast<double>(count);
  const std::size_t window = options_.factor.fills_up ? input_.own() : options_.factor.window;
  const auto shared = static_cast<std::size_t>(std::min(share, 1.0) * static_cast<double>(window));
  input.wanted = window;
  output.wanted = options_.factor.fills_up ? output.rows.count() * window / count : shared;
  input_.refresh(input);
  output_.refresh(output);
  changed();
}

void Layer::changed() {
  input_inverse_.forget();
  output_inverse_.forget();
}

void Layer::decompose() {
  const FisherBlock block = this->block();
  eigen_.decompose(block.input.covariance, block.output.covariance);
}

void Layer::refresh() {
  if (united_ != nullptr) {
    const auto& [input, output] = *united_;
    advance(input.fresh(united_), output.fresh(united_));
    fresh_ = false;
    refreshed_ = true;
    return;
  }
  if (rows_->traces().input == 0) rows_->require_finite();
  const FisherBlock& block = rows_->draw(input_.refreshes());
  advance(block, rows_->traces(), rows_);
  fresh_ = refreshed_ = true;
}

void Layer::advance(const FisherBlock& rows, const BlockTraces& traces, const std::shared_ptr<const void>& owner) {
  advance(Factor::Fresh{.rows = rows.input, .trace = traces.input, .owner = owner},
          Factor::Fresh{.rows = rows.output, .trace = traces.output, .owner = owner});
}

void Layer::advance(Factor::Fresh input, Factor::Fresh output) {
  settle_factors();
  if (averages()) {  // which copy what they take in
    input.owner.reset();
    output.owner.reset();
  }
  try {
    if (!averages() || batches_ % options_.factor_update_steps == 0) take_in(std::move(input), std::move(output));
    if (options_.method == Method::kfac && batches_ % options_.inverse_update_steps == 0) decompose();
  } catch (...) {  // one side alone, or both without their eigenvectors
    roll_back_factors();
    throw;
  }
  ++batches_;
}

void Layer::enter(const std::shared_ptr<const RecordedRows>& batch) {
  if (entered_.lock() == batch) return;
  advance(batch->block(), batch->traces(), batch);
  entered_ = batch;
  settle_factors();
}

void Layer::settle_factors() {
  input_.settle();
  output_.settle();
  eigen_.settle();
}

void Layer::roll_back_factors() {
  input_.roll_back();
  output_.roll_back();
  eigen_.roll_back();
  changed();
}

void Layer::settle() {
  settle_factors();
  refreshed_ = false;
  if (solution_ == Solution::kept) {
    std::swap(previous_, x_);
    direction_ = Direction::none;
  }
  if (solution_ != Solution::none) has_previous_ = solution_ == Solution::kept;
  solution_ = Solution::none;
}

void Layer::roll_back() {
  if (refreshed_) {
    roll_back_factors();
    --batches_;
  }
  refreshed_ = fresh_ = false;
  solution_ = Solution::none;
  direction_ = Direction::none;
}

// Rows that the factors still have stay as they are; what is recorded next goes into memory that is free.
void Layer::clear() {
  fresh_ = false;
  united_.reset();
  if (rows_.use_count() == 1) {
    rows_->clear();
    return;
  }
  spare_.push_back(std::move(rows_));
  const auto unused = std::ranges::find_if(spare_, [](const auto& rows) { return rows.use_count() == 1; });
  if (unused == spare_.end()) {
    rows_ = std::make_shared<RecordedRows>(shape_);
    return;
  }
  rows_ = std::move(*unused);
  spare_.erase(unused);
  rows_->clear();
}

LayerState Layer::state() const {
  LayerState state{.input = input_.state(), .output = output_.state(), .eigen = eigen_.state(), .batches = batches_};
  if (!has_previous_) return state;
  const std::span<float> previous = previous_.held(shape_.size());
  state.previous.assign(previous.begin(), previous.end());
  return state;
}

void Layer::restore(const LayerState& state) {
  if (!state.previous.empty() && state.previous.size() != shape_.size())
    throw expected(ErrorCode::shape_mismatch, "the state of a layer like this one", "state", "another");
  cgfac::require_finite("the previous solution of a state", state.previous);
  constexpr std::int64_t most_batches = std::int64_t{1} << 53U;  // what numbers of JavaScript count
  if (state.batches < 0 || state.batches > most_batches)
    throw expected(ErrorCode::invalid_value, "from 0 to 2^53 batches", "the state", std::to_string(state.batches));
  const bool decomposed = options_.method == Method::kfac && state.batches > 0;
  input_.check(state.input);
  output_.check(state.output);
  require_bases(state.eigen.input_vectors, state.eigen.input_values);
  require_bases(state.eigen.output_vectors, state.eigen.output_values);
  eigen_.restore(state.eigen, shape_.out_features, shape_.cols(), decomposed);
  input_.restore(state.input);
  output_.restore(state.output);
  reset_step();
  batches_ = state.batches;
  has_previous_ = !state.previous.empty();
  std::ranges::copy(state.previous, previous_.span(state.previous.size()).data());
}

void Layer::reset_step() {
  clear();
  changed();
  entered_.reset();
  refreshed_ = false;
  solution_ = Solution::none;
  direction_ = Direction::none;
}

void Layer::reset() {
  input_.reset();
  output_.reset();
  eigen_.reset();
  reset_step();
  batches_ = 0;
  has_previous_ = false;
}

LayerMemory Layer::memory() const {
  std::size_t recorded = rows_->bytes();
  for (const auto& rows : spare_) recorded += rows->bytes();
  return {
      .recorded = recorded,
      .workspace = workspace_.bytes() + x_.bytes() + v_.bytes() + z_input_.bytes() + z_output_.bytes() + grams_.bytes(),
      .previous = previous_.bytes(),
      .factors = input_.bytes() + output_.bytes() + eigen_.bytes() + input_inverse_.bytes() + output_inverse_.bytes()};
}

}  // namespace cgfac
