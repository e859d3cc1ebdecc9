// A layer of its own: every method, damping, block and history, for a gradient that is given and for that of a batch.
// What comes out is right within the documented bound, or an Error with a code that changed nothing.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "core/base/error.h"
#include "core/layer/layer.h"
#include "support/draws.h"
#include "support/reference.h"
#include "support/steps.h"
#include "support/target.h"
#include "support/truth.h"
#include "support/verdict.h"

namespace cgfac::fuzz {
namespace {

LayerOptions drawn_options(Draws& draws) {
  LayerOptions options;
  options.method = draws.among(std::array{Method::exact, Method::cg, Method::kfac, Method::automatic, Method::exact});
  options.damping_mode = draws.among(std::array{DampingMode::tikhonov, DampingMode::factored});
  options.block = draws.below(4) == 3 ? Block::sample : Block::kronecker;
  options.factor.history = draws.among(std::array{FactorHistory::none, FactorHistory::dense, FactorHistory::panel});
  options.factor.decay = draws.among(std::array{0.95, 0.5, 0.0});
  options.factor.dense_dimension = draws.flag() ? 200 : 2;
  options.cg_fac.space = draws.among(std::array{Space::gram, Space::weight, Space::automatic});
  options.cg_fac.cg = {.max_iterations = static_cast<int>(draws.size(60)),
                       .tolerance = draws.among(std::array{1e-2, 0.0, 1e-6})};
  options.warm_start = draws.among(std::array{WarmStart::none, WarmStart::previous, WarmStart::scaled});
  const bool near = draws.flag();
  options.damping.value = near ? draws.power_of_ten(-3, 3) : draws.power_of_ten(-30, 30);
  options.damping.relative = draws.flag();
  return options;
}

/// A layer, and what its factors are by the definition.
class Solves {
 public:
  explicit Solves(Draws& draws)
      : options_(drawn_options(draws)),
        shape_{.in_features = draws.size(6),
               .out_features = draws.size(5),
               .bias = draws.flag(),
               .loss_reduction = draws.flag() ? LossReduction::mean : LossReduction::sum,
               .layout = draws.flag() ? KernelLayout::in_out : KernelLayout::out_in},
        layer_(shape_, options_),
        a_{.decay = options_.factor.decay},
        g_{.decay = options_.factor.decay} {}

  /// One solve; whether another one may follow.
  bool run(Draws& draws) {
    own_ = draws.flag();
    const bool empirical = own_ && draws.flag();
    batch_ = draws.size(6);
    fisher_ = empirical || options_.block == Block::sample || draws.flag() ? batch_ : draws.size(6);
    inputs_ = draws.numbers(batch_ * shape_.in_features);
    output_grads_ = draws.numbers(fisher_ * shape_.out_features);
    if (own_ && !empirical) loss_grads_ = draws.numbers(batch_ * shape_.out_features);
    loss_ = {empirical ? output_grads_.data() : loss_grads_.data(), batch_, shape_.out_features};
    rows_near_one_ = (rows_near_one_ || options_.factor.history == FactorHistory::none) && near_one(inputs_, near) &&
                     near_one(output_grads_, near);
    v_ = draws.numbers(shape_.size());
    keep_ = own_ && draws.flag() ? draws.power_of_ten(-8, 0) : 0;
    factor_ = own_ && draws.flag() ? -draws.power_of_ten(-12, 12) : 1;
    const std::vector<float> before = v_;
    const LayerState state = layer_.state();
    std::vector<float> out = before;
    LayerSummary summary;
    try {
      summary = solve(out);
    } catch (const Error& error) {
      require(error.code() == ErrorCode::not_finite || error.code() == ErrorCode::invalid_value,
              "the code of an error");
      require(same_bits(out, before), "an error writes nothing");
      require(!own_ || test::same_bits(layer_.state(), state), "an error leaves the layer as it was");
      require(!benign(), "data near 1 has a direction");
      return false;
    }
    if (keep_ != 0 && !all_finite(before)) return false;
    require(all_finite(out), "a direction is finite");
    require(all_finite(inputs_) && all_finite(output_grads_), "rows that are not finite are an error");
    check(summary, before, out);
    return true;
  }

 private:
  LayerSummary solve(std::vector<float>& out) {
    const Batch batch{.inputs = {inputs_.data(), batch_, shape_.in_features},
                      .output_grads = {output_grads_.data(), fisher_, shape_.out_features}};
    const FisherBlock block = shape_block(shape_);
    if (own_) {
      const Destination destination{.out = block.view(std::span(out)), .factor = factor_, .keep = keep_};
      return layer_.natural_gradient(batch, loss_, destination, nullptr, nullptr);
    }
    layer_.record_batch(batch);
    return layer_.precondition(layer_.batch(), block.view(std::span<const float>(v_)), block.view(std::span(out)),
                               nullptr, nullptr);
  }

  [[nodiscard]] double grad_factor() const {
    return shape_.loss_reduction == LossReduction::mean ? static_cast<double>(batch_) : 1;
  }
  [[nodiscard]] FisherBlock batch_block() const {
    return fisher_block(shape_, {.inputs = {inputs_.data(), batch_, shape_.in_features},
                                 .output_grads = {output_grads_.data(), fisher_, shape_.out_features}});
  }
  [[nodiscard]] test::DenseFactors factors() const {
    if (options_.factor.history == FactorHistory::none) {
      const FisherBlock block = batch_block();
      return {.a = test::factor_matrix(block.input), .g = test::factor_matrix(block.output)};
    }
    return {.a = a_.mean(), .g = g_.mean()};
  }
  [[nodiscard]] test::DenseMatrix gradient() const {
    const FisherBlock block = batch_block();
    if (!own_) return test::dense_weights(block, std::span<const float>(v_));
    const double scale = shape_.loss_reduction == LossReduction::mean ? 1 : 1 / static_cast<double>(batch_);
    const std::vector<double> numbers = test::dense_gradient(block, {.loss_grads = loss_, .scale = scale});
    return test::dense_weights(block, std::span<const double>(numbers));
  }
  /// Whether this batch and those that are averaged with it leave every damping far above their rounding.
  [[nodiscard]] bool benign() const {
    if (!rows_near_one_ || (own_ && !near_one({loss_.data, loss_.size()}, near)) || !near_one(v_, near)) return false;
    if (samples_too_small()) return false;
    const double damping = options_.damping.value;
    return damping >= 0.1 && damping <= 1e3 && std::abs(factor_) <= 1e3;
  }

  void check(const LayerSummary& summary, std::span<const float> before, std::span<const float> out) {
    const FisherBlock block = batch_block();
    a_.add(test::factor_matrix(block.input));
    g_.add(test::factor_matrix(block.output));
    const test::DenseMatrix v = gradient();
    std::vector<double> x = test::weight_numbers(block, test::dense_weights(block, out));
    const bool plain = keep_ == 0 && factor_ == 1;
    require_sound(summary.products);
    // a gradient that is formed is float32: what its bits do not hold counts as zero
    if (test::norm(v.numbers) <= (own_ ? 0x1p-100 : 0.0)) return;
    const test::DenseFactors factors = this->factors();
    if (too_small(factors) || samples_too_small()) return;
    // a panel's relative damping is one of what it holds
    if (options_.factor.history == FactorHistory::panel && options_.damping.relative) return;
    if (summary.cg_fac) {
      if (plain) check_residual(summary, factors, v, x);
      return;
    }
    const Truth truth = this->truth(factors, v);
    if (!(truth.condition <= largest_condition)) return;
    if (plain) require_norm(summary.products, x);
    std::vector<double> expected = test::weight_numbers(block, truth.x);
    double kept = 0;
    for (std::size_t i = 0; i < expected.size(); ++i) {
      const double own = keep_ == 0 ? 0 : keep_ * static_cast<double>(before[i]);
      expected[i] = own + (factor_ * expected[i]);
      kept = std::hypot(kept, own);
    }
    const double sides = static_cast<double>(shape_.out_features + shape_.cols());
    const double bound = (summary.method == Method::kfac ? 8 * std::sqrt(sides) : 4) * rows_rounding() *
                         test::unit_roundoff * truth.condition * leakage(summary, truth.condition);
    const double size = std::abs(factor_) * test::norm(truth.x.numbers);
    std::vector<double> error = test::difference(x, expected);
    const double rounding = 2 * least_float * std::sqrt(static_cast<double>(x.size()));
    require_within(test::norm(error), (bound * size) + (4 * test::unit_roundoff * (kept + size)) + rounding,
                   "the error of a direction");
  }

  /// What rows of a batch's own gradient multiply the bound by: what they cancel by.
  [[nodiscard]] double rows_rounding() const { return own_ ? most_cancellation : 1; }

  /// What a difference from v/λ multiplies the bound by: the rounding of the large coordinates reaches the small ones.
  [[nodiscard]] double leakage(const LayerSummary& summary, double condition) const {
    const bool tikhonov = summary.method != Method::kfac && options_.damping_mode == DampingMode::tikhonov;
    return tikhonov && difference() ? std::max(1.0, std::sqrt(condition) / 2) : 1;
  }
  /// Whether an undamped part is left of v: neither where it is made of the rows of F, nor beside factors that are
  /// given.
  [[nodiscard]] bool difference() const {
    const bool empirical = own_ && loss_.data == output_grads_.data();
    if (options_.block == Block::sample) return !empirical;
    if (options_.factor.history == FactorHistory::panel) return true;
    if (options_.factor.history == FactorHistory::dense) return options_.factor.dense_dimension < largest_side();
    const BlockForms forms = gram_forms(batch_block());
    return !forms.covariances() && !(empirical && forms.panels());
  }
  [[nodiscard]] std::size_t largest_side() const { return std::max(shape_.cols(), shape_.out_features); }

  /// Whether averages, which are float32, hold less of the factors than their bits.
  [[nodiscard]] bool too_small(const test::DenseFactors& factors) const {
    if (options_.factor.history == FactorHistory::none) return false;
    return !(std::min(test::trace_of(factors.a), test::trace_of(factors.g)) >= 0x1p-110);
  }

  /// Whether samples whose gradients are large where their inputs are small make so little of a per-sample block that
  /// Gram matrices in float32, whose largest numbers are near 1, do not hold it in full, or nothing at all.
  [[nodiscard]] bool samples_too_small() const {
    if (options_.block != Block::sample) return false;
    const FisherBlock block = batch_block();
    const test::DenseMatrix a = test::dense_rows(block.input);
    const test::DenseMatrix g = test::dense_rows(block.output);
    const auto norm2 = [](const test::DenseMatrix& rows, std::size_t row) {
      double sum = 0;
      for (std::size_t j = 0; j < rows.cols; ++j) sum += rows(row, j) * rows(row, j);
      return sum;
    };
    double both = 0;
    double inputs = 0;
    double gradients = 0;
    for (std::size_t i = 0; i < batch_; ++i) {
      both += norm2(a, i) * norm2(g, i);
      inputs += norm2(a, i);
      gradients += norm2(g, i);
    }
    return both <= 0x1p-110 * inputs * gradients;
  }

  [[nodiscard]] Truth truth(const test::DenseFactors& factors, const test::DenseMatrix& v) const {
    if (options_.block == Block::sample) {
      const FisherBlock block = batch_block();
      return sample_truth(test::dense_rows(block.input), test::dense_rows(block.output), grad_factor(),
                          options_.damping, v);
    }
    const Spectral spectral(factors);
    if (options_.damping_mode == DampingMode::factored) return spectral.factored(v, gammas(factors, options_.damping));
    return spectral.tikhonov(v, absolute(factors, options_.damping));
  }

  /// A residual is that of x, to a factor of two and the rounding of x; `converged` means what it says.
  void check_residual(const LayerSummary& summary, const test::DenseFactors& factors, const test::DenseMatrix& v,
                      const std::vector<double>& x) const {
    const CgSummary& cg = summary.cg_fac->cg;
    const CgReason reason = cg.reason;
    require(std::isfinite(cg.residual) && cg.residual >= 0, "a residual is a number");
    if (reason == CgReason::broken_down || reason == CgReason::indefinite) return;
    const double lambda = absolute(factors, options_.damping);
    const FisherBlock block = batch_block();
    const test::DenseMatrix weights = test::dense_weights(block, std::span<const double>(x));
    test::DenseMatrix left = factors.g * weights * factors.a;
    for (std::size_t i = 0; i < left.numbers.size(); ++i)
      left.numbers[i] = v.numbers[i] - left.numbers[i] - (lambda * weights.numbers[i]);
    const double size = test::norm(v.numbers);
    const double residual = test::norm(left.numbers) / size;
    const double largest = test::trace_of(factors.a) * test::trace_of(factors.g);
    if (largest <= largest_condition * lambda) require_norm(summary.products, x);
    const double subnormal = (lambda + largest) * least_float * std::sqrt(static_cast<double>(x.size())) / size;
    // below the floor of float32 a recurrence says nothing
    constexpr double noise = 0x1p-11;
    const double rounding =
        (4 * test::unit_roundoff * (1 + (largest * test::norm(x) / size))) + (2 * subnormal) + noise;
    require_within(residual, (2 * cg.residual) + rounding, "the residual beside the one that is claimed");
    if (reason != CgReason::converged) return;
    const double tolerance = std::max(options_.cg_fac.cg.tolerance, 0x1p-11);
    require_within(residual, (2 * tolerance) + rounding, "the residual of what has converged");
  }

  static constexpr float near = 4;
  LayerOptions options_;
  LayerShape shape_;
  Layer layer_;
  test::DenseAverage a_;
  test::DenseAverage g_;
  bool rows_near_one_ = true;
  // of the solve under way
  bool own_ = false;
  std::size_t batch_ = 0;
  std::size_t fisher_ = 0;
  double keep_ = 0;
  double factor_ = 1;
  std::vector<float> inputs_;
  std::vector<float> output_grads_;
  std::vector<float> loss_grads_;
  MatrixView<const float> loss_;
  std::vector<float> v_;
};

}  // namespace

void run(Draws draws) {
  std::optional<Solves> solves;
  try {
    solves.emplace(draws);
  } catch (const Error& error) {  // a combination that no solver has
    require(error.code() == ErrorCode::invalid_value, "the code of an error");
    return;
  }
  const std::size_t count = draws.size(3);
  for (std::size_t i = 0; i < count && solves->run(draws); ++i) {
  }
}

}  // namespace cgfac::fuzz
