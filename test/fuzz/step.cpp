// A layer of any kind through the phases of a step: what is recorded makes factors, a direction, an update, and is
// settled or taken back. Directions are right within the documented bound, or there is an Error with a code.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "core/base/error.h"
#include "core/layer/layer.h"
#include "support/draws.h"
#include "support/kind_truth.h"
#include "support/steps.h"
#include "support/target.h"
#include "support/truth.h"
#include "support/verdict.h"

namespace cgfac::fuzz {
namespace {

PatchShape drawn_patches(Draws& draws, std::size_t channels) {
  const bool plane = draws.flag();
  const PatchShape::Extents size{1, plane ? 1 + draws.size(3) : 1, 2 + draws.size(3)};
  const PatchShape::Extents kernel{1, plane ? draws.size(2) : 1, draws.size(3)};
  const PatchShape::Extents strides{1, draws.size(2), draws.size(2)};
  return test::windows(size, channels, kernel, strides, {1, 1, 1}, draws.flag());
}

LayerShape drawn_shape(Draws& draws) {
  const auto kind =
      draws.among(std::array{Kind::dense, Kind::convolution, Kind::transposed_convolution, Kind::depthwise_convolution,
                             Kind::embedding, Kind::scale_shift, Kind::diagonal});
  const std::size_t width = draws.size(4);
  switch (kind) {
    case Kind::convolution:
      return test::convolution(drawn_patches(draws, draws.size(2)), width, draws.flag());
    case Kind::transposed_convolution:
      return test::transposed_convolution(drawn_patches(draws, draws.size(2)), width);
    case Kind::depthwise_convolution:
      return test::depthwise(drawn_patches(draws, draws.size(3)), draws.size(2), draws.flag());
    case Kind::embedding:
      return {.kind = kind, .in_features = draws.size(6), .out_features = width, .layout = KernelLayout::in_out};
    case Kind::scale_shift:
      return {.kind = kind, .in_features = 1, .out_features = width, .bias = true, .layout = KernelLayout::in_out};
    case Kind::diagonal:
      return {.kind = kind, .in_features = 1, .out_features = 2 * width, .layout = KernelLayout::in_out};
    case Kind::dense:
      break;
  }
  return {.in_features = draws.size(5),
          .out_features = width,
          .bias = draws.flag(),
          .layout = draws.flag() ? KernelLayout::in_out : KernelLayout::out_in};
}

LayerOptions drawn_options(Draws& draws) {
  LayerOptions options{.damping_mode = DampingMode::factored, .method = Method::exact};
  options.factor.history = draws.among(std::array{FactorHistory::none, FactorHistory::dense, FactorHistory::panel});
  options.factor.decay = draws.among(std::array{0.95, 0.5, 0.0});
  options.damping.relative = draws.below(3) != 0;
  const bool near = draws.flag();
  options.damping.value = near ? draws.power_of_ten(-2, 2) : draws.power_of_ten(-30, 30);
  return options;
}

/// A layer, and what its directions are by the definition.
class Steps {
 public:
  explicit Steps(Draws& draws)
      : shape_(drawn_shape(draws)),
        options_(drawn_options(draws)),
        layer_(shape_, options_),
        truth_(shape_, options_) {}

  /// One step; whether another one may follow.
  bool run(Draws& draws) {
    draw_rows(draws);
    note_rows();
    const bool given = draws.flag();
    const bool taken_back = draws.below(4) == 3;
    v_ = draws.numbers(shape_.size());
    const LayerState before = layer_.state();
    try {
      layer_.clear();
      record();
      layer_.refresh();
      const WeightView<const float> v = shape_block(shape_).view(std::span<const float>(v_));
      const LayerStep step = layer_.prepare(given ? std::optional(v) : std::nullopt, {});
      const std::vector<float> x = test::written(layer_);
      const KindTruth earlier = truth_;
      truth_.refresh(rows());
      check(step, x, given);
      check_update(draws, x);
      if (taken_back) truth_ = earlier;
    } catch (const Error& error) {
      require(error.code() == ErrorCode::not_finite || error.code() == ErrorCode::invalid_value,
              "the code of an error");
      require(!benign(given), "data near 1 has a direction");
      layer_.roll_back();
      require(test::same_bits(layer_.state(), before), "a step that is taken back has not been");
      return false;
    }
    if (!taken_back) {
      layer_.settle();
      return true;
    }
    layer_.roll_back();
    require(test::same_bits(layer_.state(), before), "a step that is taken back has not been");
    return true;
  }

 private:
  void draw_rows(Draws& draws) {
    const KindOfLayer& kind = kind_of(shape_);
    samples_ = draws.size(4);
    sampled_ = draws.size(samples_);
    const bool positions = shape_.kind == Kind::embedding || shape_.kind == Kind::scale_shift;
    positions_ = positions ? draws.size(3) : 1;
    inputs_ = draws.numbers(samples_ * positions_ * kind.input_width(shape_));
    if (shape_.kind == Kind::diagonal) inputs_.assign(inputs_.size(), 1.0F);
    if (shape_.kind == Kind::embedding) {
      for (float& id : inputs_) id = static_cast<float>(draws.below(shape_.in_features));
    }
    loss_grads_ = draws.numbers(samples_ * positions_ * kind.output_width(shape_));
    fisher_grads_ = draws.numbers(sampled_ * positions_ * kind.output_width(shape_));
  }
  [[nodiscard]] RecordedStep rows() const {
    const KindOfLayer& kind = kind_of(shape_);
    const std::size_t inputs = kind.input_width(shape_);
    const std::size_t outputs = kind.output_width(shape_);
    return {.inputs = {inputs_.data(), samples_ * positions_, inputs},
            .loss_grads = {loss_grads_.data(), samples_ * positions_, outputs},
            .fisher_grads = {fisher_grads_.data(), sampled_ * positions_, outputs},
            .samples = samples_,
            .sampled = sampled_,
            .positions = positions_};
  }
  void record() {
    const RecordedStep step = rows();
    layer_.record(step.inputs, step.loss_grads, samples_, 1);
    layer_.record_fisher(step.fisher_grads, 1, true, sampled_);
    layer_.require_finite();
  }
  /// What is averaged with this batch counts, too, where there is a history, and of kinds whose factors are running
  /// averages whatever it is: diagonals, and blocks of channels.
  void note_rows() {
    const bool of_batch =
        shape_.kind == Kind::dense || shape_.kind == Kind::convolution || shape_.kind == Kind::transposed_convolution;
    const bool first = of_batch && options_.factor.history == FactorHistory::none;
    const double size = square(largest(inputs_)) * square(std::max(largest(fisher_grads_), largest(loss_grads_)));
    rows_near_one_ = (rows_near_one_ || first) && near_one(inputs_, near) && near_one(fisher_grads_, near) &&
                     near_one(loss_grads_, near);
    rows_size_ = std::max(first ? 0 : rows_size_, size);
    most_rows_ =
        std::max(first ? 0 : most_rows_, samples_ * positions_ * std::max<std::size_t>(1, shape_.patches.positions()));
  }
  static double largest(std::span<const float> numbers) {
    double most = 0;
    for (const float number : numbers) most = std::max(most, std::abs(static_cast<double>(number)));
    return most;
  }
  static double square(double x) { return x * x; }
  /// Whether rows and damping are near 1, and the damping far above the rounding of the rows, those that are averaged
  /// among them: of the block itself, which a scale and shift has, or of each of two factors.
  [[nodiscard]] bool benign(bool given) const {
    if (!rows_near_one_ || (given && !near_one(v_, near))) return false;
    const double lambda = options_.damping.value;
    if (!(lambda >= 1 / static_cast<double>(near) && lambda <= static_cast<double>(near))) return false;
    const double traces = rows_size_ * static_cast<double>(shape_.size() * positions_);
    const double least = shape_.kind == Kind::scale_shift ? 0x1p-18 : 0x1p-36;
    return options_.damping.relative || lambda >= least * traces;
  }

  void check(const LayerStep& step, const std::vector<float>& found, bool given) const {
    require(all_finite(found), "a direction is finite");
    require(all_finite(inputs_) && all_finite(loss_grads_) && all_finite(fisher_grads_),
            "rows that are not finite are an error");
    require(std::isfinite(step.vx) && std::isfinite(step.bound), "⟨v, x⟩ and the bound of ‖x‖ are finite");
    const FisherBlock block = shape_block(shape_);
    const std::vector<double> x =
        test::weight_numbers(block, test::dense_weights(block, std::span<const float>(found)));
    const RecordedStep recorded = rows();
    KindGradient gradient = step_gradient(shape_, recorded);
    if (given)
      gradient = {.v = test::dense_weights(block, std::span<const float>(v_)), .sizes = {.rows = 0, .cols = 0}};
    const double size = test::norm(gradient.v.numbers);
    // averages and gradients that are formed are float32: what their bits do not hold counts as zero
    if (size == 0 || !(truth_.least_trace() >= 0x1p-110) || (!given && size < 0x1p-100)) return;
    if (!step.curved) return require(!benign(given), "data near 1 has curvature");
    const Truth truth = truth_.direction(gradient.v);
    if (!(truth.condition <= largest_condition)) return;
    const double cancellation = given ? 1 : std::max(1.0, test::norm(gradient.sizes.numbers) / size);
    const double rounding = roundings() * cancellation * test::unit_roundoff * truth.condition;
    require_near(x, test::weight_numbers(block, truth.x), rounding, "the error of a direction");
    const double length = test::norm(x);
    require_within(length, step.bound * (1 + 1e-5) + (least_float * std::sqrt(static_cast<double>(x.size()))),
                   "‖x‖ beside its bound");
    const double vx = test::dot(gradient.v.numbers, truth.x.numbers);
    require_within(std::abs(step.vx - vx),
                   (rounding * size * test::norm(truth.x.numbers)) + (1e-3 * std::abs(vx)) + 1e-40,
                   "the error of ⟨v, x⟩");
  }
  /// How often a direction is rounded at worst, of rows that are alike to the last bits: as often as the sums have
  /// terms of a factor, or of a gradient, and of the products with both inverses (Higham, Accuracy and Stability of
  /// Numerical Algorithms, 2002, equation 3.5), and four times besides.
  [[nodiscard]] double roundings() const {
    return static_cast<double>(most_rows_ + shape_.out_features + shape_.cols() + 4);
  }

  // M ← μM + ηx, W ← (1 − ρη·decay)·W − ρM
  void check_update(Draws& draws, const std::vector<float>& x) {
    std::vector<float> m = test::random_numbers<float>(x.size(), 1);
    std::vector<float> w = test::random_numbers<float>(x.size(), 2);
    const double size = draws.power_of_ten(-6, 6);
    for (float& number : m) number *= static_cast<float>(size);
    const FisherBlock block = shape_block(shape_);
    const LayerUpdate update{.step_size = draws.power_of_ten(-12, 6),
                             .rate = draws.power_of_ten(-3, 1),
                             .momentum = draws.among(std::array{0.0, 0.5, 0.95}),
                             .weight_decay = draws.among(std::array{0.0, 1e-4}),
                             .kept = block.view(std::span(m)),
                             .weights = block.view(std::span(w))};
    const std::vector<float> m_before = m;
    const std::vector<float> w_before = w;
    layer_.write(update);
    for (std::size_t i = 0; i < x.size(); ++i) {
      const double kept = update.momentum * static_cast<double>(m_before[i]);
      const double added = update.step_size * static_cast<double>(x[i]);
      const double decayed =
          (1 - (update.rate * update.step_size * update.weight_decay)) * static_cast<double>(w_before[i]);
      const double moved = update.rate * static_cast<double>(m[i]);
      if (std::abs(added) > 1e36 || std::abs(moved) > 1e36) continue;
      // x as it was written is rounded to a multiple of the least number, which η multiplies
      const double rounding = update.step_size * least_float;
      require_within(std::abs(static_cast<double>(m[i]) - (kept + added)),
                     update_tolerance(std::abs(kept), test::norm(x) * update.step_size) + rounding, "the error of M");
      require_within(std::abs(static_cast<double>(w[i]) - (decayed - moved)),
                     update_tolerance(std::abs(decayed) + 1, std::abs(moved)), "the error of W");
    }
  }
  // A few roundings of both parts.
  [[nodiscard]] static double update_tolerance(double first, double second) {
    return (16 * test::unit_roundoff * (first + second)) + (4 * least_float);
  }

  static constexpr float near = 1e3F;
  LayerShape shape_;
  LayerOptions options_;
  Layer layer_;
  KindTruth truth_;
  bool rows_near_one_ = true;
  double rows_size_ = 0;       // the largest square of an input times that of a gradient
  std::size_t most_rows_ = 0;  // of any step, a row for each window
  // of the step under way
  std::size_t samples_ = 0;
  std::size_t sampled_ = 0;
  std::size_t positions_ = 1;
  std::vector<float> inputs_;
  std::vector<float> loss_grads_;
  std::vector<float> fisher_grads_;
  std::vector<float> v_;
};

}  // namespace

void run(Draws draws) {
  Steps steps(draws);
  const std::size_t count = draws.size(3);
  for (std::size_t i = 0; i < count && steps.run(draws); ++i) {
  }
}

}  // namespace cgfac::fuzz
