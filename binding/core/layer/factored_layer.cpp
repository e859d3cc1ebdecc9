#include "core/layer/factored_layer.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string_view>

#include "core/base/error.h"
#include "core/block/finite.h"
#include "core/block/weight_vector.h"
#include "core/linalg/blas.h"
#include "core/threads/parallel.h"

namespace cgfac {
namespace {

void append(std::vector<float>& to, const MatrixView<const float>& rows, float factor) {
  const std::size_t before = to.size();
  to.resize(before + rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) to[before + i] = factor * rows.data[i];
}

// gram ← z Zᵀ, lower triangle; both count × d, z's homogeneous coordinate apart
void cross_gram(const Side& side, const MatrixView<const float>& inverse_rows, const MatrixView<float>& gram) {
  const std::size_t d = side.rows.cols;
  const std::size_t count = gram.rows;
  const double flops = product_flops(count, count, d) / 2;
  const std::size_t pieces = flops > 1.6e7 && count >= 64 ? 4 : 1;
  parallel_for(pieces, [&](std::size_t i) {
    const std::size_t piece = pieces - 1 - i;  // the longest first
    const std::size_t first = count * piece / pieces;
    const std::size_t end = count * (piece + 1) / pieces;
    const MatrixView<float> part = gram.rows_from(first, end - first).columns(0, end);
    blas::gemm(1.0F, side.rows.rows_from(first, end - first), inverse_rows.rows_from(0, end).columns(0, d).transposed(),
               0.0F, part);
    if (!side.homogeneous) return;
    for (std::size_t row = 0; row < part.rows; ++row) {
      for (std::size_t j = 0; j < end; ++j) part(row, j) += inverse_rows(j, d);
    }
  });
}

// ⟨X, Y⟩ of symmetric matrices by their lower triangles
double dot_of_lower(const MatrixView<const float>& x, const MatrixView<const float>& y) {
  double below = 0;
  double diagonal = 0;
  for (std::size_t i = 0; i < x.rows; ++i) {
    below += blas::dot(std::span(x.data + (i * x.cols), i), std::span(y.data + (i * y.cols), i));
    diagonal += static_cast<double>(x(i, i)) * static_cast<double>(y(i, i));
  }
  return (2 * below) + diagonal;
}

double trace(const MatrixView<const float>& x) {
  double sum = 0;
  for (std::size_t i = 0; i < x.rows; ++i) sum += static_cast<double>(x(i, i));
  return sum;
}

MatrixView<float> column(std::span<float> numbers) {
  return numbers.empty() ? MatrixView<float>() : MatrixView<float>(numbers.data(), numbers.size(), 1);
}

void apply_input(const DampedFactor& factor, const WeightView<float>& x, Buffer<float>& scratch) {
  factor.apply(x.kernel, column(x.bias), scratch);
}

void apply_output(const DampedFactor& factor, const WeightView<float>& x, Buffer<float>& scratch) {
  factor.apply(x.kernel.transposed(), {}, scratch);
  if (!x.bias.empty()) factor.apply({x.bias.data(), 1, x.bias.size()}, {}, scratch);
}

}  // namespace

FactoredLayer::FactoredLayer(const LayerShape& shape, const FactoredLayerOptions& options)
    : shape_(shape),
      input_(shape.in_features + (shape.bias ? 1 : 0), options.factor),
      output_(shape.out_features, options.factor) {}

void FactoredLayer::record(MatrixView<const float> inputs, MatrixView<const float> loss_grads, std::size_t samples,
                           double factor) {
  append(inputs_, inputs, 1);
  append(loss_grads_, loss_grads, static_cast<float>(factor));
  input_rows_ += inputs.rows;
  samples_ += samples;
  fresh_ = false;
}

void FactoredLayer::record_fisher(MatrixView<const float> output_grads, double factor) {
  append(fisher_grads_, output_grads, static_cast<float>(factor));
  fisher_rows_ += output_grads.rows;
  fresh_ = false;
}

void FactoredLayer::require_finite() const {
  const auto check = [](std::string_view name, const std::vector<float>& numbers) {
    // a sum beyond float32 would stay in an average for good
    if (blas::dot(std::span(numbers), std::span(numbers)) <= static_cast<double>(std::numeric_limits<float>::max()))
      return;
    cgfac::require_finite(name, numbers);
    throw expected(ErrorCode::not_finite, "squares within the range of float32", name, "an overflow");
  };
  check("inputs", inputs_);
  check("lossGrads", loss_grads_);
  check("outputGrads", fisher_grads_);
}

// A = [a 1]ᵀ[a 1]/samples, G the mean over its rows
FisherBlock FactoredLayer::block() const {
  const std::vector<float>& grads = fisher_rows_ > 0 ? fisher_grads_ : loss_grads_;
  const std::size_t rows = fisher_rows();
  return {.input = {.rows = {inputs_.data(), input_rows_, shape_.in_features},
                    .homogeneous = shape_.bias,
                    .scale = 1 / static_cast<double>(samples_)},
          .output = {.rows = {grads.data(), rows, shape_.out_features},
                     .homogeneous = false,
                     .scale = 1 / static_cast<double>(rows)},
          .layout = shape_.layout};
}

void FactoredLayer::refresh() {
  const FisherBlock rows = block();
  input_.refresh(rows.input);
  // sampled targets of half a batch are no short batch
  const double share = static_cast<double>(rows.output.count()) / static_cast<double>(rows.input.count());
  output_.refresh(rows.output, std::min(share, 1.0));
  fresh_ = true;
}

void FactoredLayer::roll_back() {
  input_.roll_back();
  output_.roll_back();
  fresh_ = false;
}

void FactoredLayer::settle() {
  input_.settle();
  output_.settle();
}

bool FactoredLayer::damp(const Damping& damping) {
  const double input = input_.trace() / static_cast<double>(input_.dimension());
  const double output = output_.trace() / static_cast<double>(output_.dimension());
  if (!(input > 0 && output > 0)) return false;
  const double ratio = std::sqrt(input / output);  // π
  const double root = std::sqrt(damping.value);
  const double gamma_input = damping.relative ? damping.value * input_.mean_eigenvalue() : ratio * root;
  const double gamma_output = damping.relative ? damping.value * output_.mean_eigenvalue() : root / ratio;
  if (!(input_.can_damp(gamma_input) && output_.can_damp(gamma_output))) return false;
  const double cost_input = input_.flops_per_row();
  const double cost_output = output_.flops_per_row();
  parallel_for(2, 1e3 * (cost_input + cost_output), [&](std::size_t i) {
    if ((i == 0) == (cost_input >= cost_output)) {
      input_.damp(gamma_input);
    } else {
      output_.damp(gamma_output);
    }
  });
  return true;
}

// m·c_A + n·c_G for v formed, N·(c_A + c_G) and two products of rows, N × N, otherwise
bool FactoredLayer::forms_gradient() const {
  const auto m = static_cast<double>(output_.dimension());
  const auto n = static_cast<double>(input_.dimension());
  const auto rows = static_cast<double>(input_rows_);
  const double input = input_.flops_per_row();
  const double output = output_.flops_per_row();
  return (m * input) + (n * output) < (rows * (input + output)) + (rows * rows * (m + n));
}

FactoredStep FactoredLayer::prepare(const Damping& damping, bool curvature) {
  if (!recorded()) throw expected(ErrorCode::no_record, "a batch from record()", "the step", "none");
  if (!refreshed()) throw expected(ErrorCode::no_record, "factors", "the step", "none");
  zero_ = !damp(damping);
  if (zero_) return {};
  formed_ = forms_gradient();
  FactoredStep step;
  if (formed_) {
    const FisherBlock rows = block();
    const WeightView<float> v = rows.view(v_.span(rows.size()));
    const WeightView<float> x = rows.view(x_.span(rows.size()));
    const double scale = 1 / static_cast<double>(samples_);
    form_gradient(rows, {.v = {}, .loss_grads = {loss_grads_.data(), input_rows_, shape_.out_features}, .scale = scale},
                  v);
    copy(v, x);
    step = apply_both(v, x, curvature);
    step.formed = true;
  } else {
    step = prepare_rows(curvature);
  }
  step.bound = bound_;
  if (!(std::isfinite(step.vx + step.xfx) && bound_ <= largest_norm)) {
    require_finite();
    throw expected(ErrorCode::not_finite, "products within the range of float32", "inputs, outputGrads and lossGrads",
                   "an overflow");
  }
  return step;
}

FactoredStep FactoredLayer::prepare_rows(bool curvature) {
  const FisherBlock rows = block();
  const std::size_t count = input_rows_;
  const std::size_t n = input_.dimension();
  const std::size_t m = output_.dimension();
  const MatrixView<float> z_input = z_input_.matrix(count, n);
  const MatrixView<float> z_output = z_output_.matrix(count, m);
  const std::span<float> memory = grams_.span(2 * count * count);
  const MatrixView<float> input_gram(memory.data(), count, count);
  const MatrixView<float> output_gram(memory.data() + input_gram.size(), count, count);

  if (fresh_ && input_.has_own(count)) {
    input_.apply_own(z_input, input_gram);
  } else {
    for (std::size_t i = 0; i < count; ++i) {
      std::copy_n(inputs_.data() + (i * shape_.in_features), shape_.in_features, z_input.data + (i * n));
      if (shape_.bias) z_input(i, n - 1) = 1;
    }
    input_.apply(z_input, {}, scratch_);
    cross_gram(rows.input, z_input, input_gram);
  }
  if (fresh_ && fisher_rows_ == 0 && output_.has_own(count)) {
    output_.apply_own(z_output, output_gram);
  } else {
    std::ranges::copy(loss_grads_, z_output.data);
    output_.apply(z_output, {}, scratch_);
    cross_gram({.rows = {loss_grads_.data(), count, m}, .homogeneous = false, .scale = 1}, z_output, output_gram);
  }
  const double scale = 1 / static_cast<double>(samples_);
  FactoredStep step{.gamma = {.input = input_.gamma(), .output = output_.gamma()}};
  step.vx = scale * scale * dot_of_lower(input_gram, output_gram);
  // ‖Z‖² ≤ tr(z Zᵀ)/γ
  bound_ = scale * std::sqrt(trace(input_gram) / input_.gamma()) * std::sqrt(trace(output_gram) / output_.gamma());
  if (curvature) {  // Z F Zᵀ = z Zᵀ − γ Z Zᵀ
    blas::gram_rows(static_cast<float>(-input_.gamma()), z_input, 1.0F, input_gram, 0, count);
    blas::gram_rows(static_cast<float>(-output_.gamma()), z_output, 1.0F, output_gram, 0, count);
    step.xfx = std::max(scale * scale * dot_of_lower(input_gram, output_gram), 0.0);
  }
  return step;
}

FactoredStep FactoredLayer::apply_both(const WeightView<const float>& v, const WeightView<float>& x, bool curvature) {
  FactoredStep step{.gamma = {.input = input_.gamma(), .output = output_.gamma()}};
  double crossed = 0;  // ⟨v (A + γ_A I)⁻¹, (G + γ_G I)⁻¹ v⟩
  if (curvature) {     // xᵀFx = ⟨v (A + γ_A I)⁻¹ − γ_G x, (G + γ_G I)⁻¹ v − γ_A x⟩
    const FisherBlock rows = {.input = {.rows = {nullptr, 0, shape_.in_features}, .homogeneous = shape_.bias},
                              .output = {.rows = {nullptr, 0, shape_.out_features}},
                              .layout = shape_.layout};
    const WeightView<float> half = rows.view(z_output_.span(rows.size()));
    copy(v, half);
    apply_output(output_, half, scratch_);
    apply_input(input_, x, scratch_);
    crossed = dot(WeightView<const float>(x), WeightView<const float>(half));
    const WeightView<float> input_half = rows.view(z_input_.span(rows.size()));
    copy(x, input_half);
    apply_output(output_, x, scratch_);
    const double xx = dot(WeightView<const float>(x), WeightView<const float>(x));
    step.xfx = crossed - (input_.gamma() * dot(WeightView<const float>(x), WeightView<const float>(input_half))) -
               (output_.gamma() * dot(WeightView<const float>(x), WeightView<const float>(half))) +
               (input_.gamma() * output_.gamma() * xx);
    step.xfx = std::isnan(step.xfx) ? step.xfx : std::max(step.xfx, 0.0);
  } else {
    apply_input(input_, x, scratch_);
    apply_output(output_, x, scratch_);
  }
  step.vx = dot(v, x);
  bound_ = std::sqrt(dot(WeightView<const float>(x), WeightView<const float>(x)));
  return step;
}

void FactoredLayer::write(const Destination& destination) const {
  if (zero_) {
    write_zero(destination);
    return;
  }
  if (!(bound_ * std::max(1.0, std::abs(destination.factor)) <= largest_norm)) {
    throw expected(ErrorCode::not_finite, "a direction within the range of float32",
                   "inputs, outputGrads and lossGrads", "an overflow");
  }
  if (formed_) {
    const std::size_t size = input_.dimension() * output_.dimension();
    cgfac::write(block().view(std::span<const float>(x_.held(size))), destination);
    return;
  }
  const MatrixView<const float> z_input = z_input_.held_matrix(input_rows_, input_.dimension());
  const MatrixView<const float> z_output = z_output_.held_matrix(input_rows_, output_.dimension());
  const auto factor = static_cast<float>(destination.factor / static_cast<double>(samples_));
  const auto keep = static_cast<float>(destination.keep);
  const std::size_t in_features = shape_.in_features;
  const bool by_rows = shape_.layout == KernelLayout::out_in;  // blocks of what is contiguous in the kernel
  const std::size_t extent = by_rows ? shape_.out_features : in_features;
  const Split split = Split::columns(extent, product_flops(shape_.out_features, input_rows_, in_features));
  const MatrixView<float>& kernel = destination.out.kernel;
  parallel_for(split.blocks(), [&](std::size_t i) {
    const std::size_t first = split.first(i);
    const std::size_t count = split.count(i);
    if (by_rows) {
      blas::gemm(factor, z_output.columns(first, count).transposed(), z_input.columns(0, in_features), keep,
                 kernel.rows_from(first, count));
    } else {
      blas::gemm(factor, z_output.transposed(), z_input.columns(first, count), keep, kernel.columns(first, count));
    }
  });
  if (!destination.out.bias.empty()) {
    blas::gemm(factor, z_output.transposed(), z_input.columns(in_features, 1), keep, column(destination.out.bias));
  }
}

FactoredStep FactoredLayer::precondition(const Damping& damping, const WeightView<float>& v, bool curvature) {
  if (!refreshed()) throw expected(ErrorCode::no_record, "factors", "the step", "none");
  if (!damp(damping)) {
    write_zero({.out = v});
    return {};
  }
  const FisherBlock rows = {.input = {.rows = {nullptr, 0, shape_.in_features}, .homogeneous = shape_.bias},
                            .output = {.rows = {nullptr, 0, shape_.out_features}},
                            .layout = shape_.layout};
  const WeightView<float> x = rows.view(x_.span(rows.size()));
  copy(v, x);
  FactoredStep step = apply_both(v, x, curvature);
  step.formed = true;
  step.bound = bound_;
  if (!(std::isfinite(step.vx + step.xfx) && bound_ <= largest_norm)) {
    cgfac::require_finite("gradients", v);
    throw expected(ErrorCode::not_finite, "products within the range of float32",
                   "inputs, outputGrads and the gradient", "an overflow");
  }
  copy(x, v);
  return step;
}

void FactoredLayer::clear() {
  inputs_.clear();
  loss_grads_.clear();
  fisher_grads_.clear();
  input_rows_ = fisher_rows_ = samples_ = 0;
  fresh_ = false;
}

void FactoredLayer::reset() {
  clear();
  input_.reset();
  output_.reset();
}

void FactoredLayer::restore(const FactorState& input, const FactorState& output) {
  const FactorState before = input_.state();
  input_.restore(input);
  try {
    output_.restore(output);
  } catch (...) {
    input_.restore(before);
    throw;
  }
  clear();
}

double FactoredLayer::estimated_cost() const {
  const auto m = static_cast<double>(output_.dimension());
  const auto n = static_cast<double>(input_.dimension());
  const auto rows = static_cast<double>(input_rows_);
  return (rows * m * n) + (rows * rows * (m + n));
}

FactoredLayer::Memory FactoredLayer::memory() const {
  return {
      .recorded = (inputs_.capacity() + loss_grads_.capacity() + fisher_grads_.capacity()) * sizeof(float),
      .factors = input_.bytes() + output_.bytes(),
      .workspace = z_input_.bytes() + z_output_.bytes() + grams_.bytes() + x_.bytes() + v_.bytes() + scratch_.bytes()};
}

}  // namespace cgfac
