#include "core/layer/update.h"

#include <doctest/doctest.h>

#include <limits>
#include <optional>
#include <string>

#include "core/base/error.h"
#include "core/layer/layer.h"
#include "support/steps.h"

using namespace cgfac;
using namespace cgfac::test;

namespace {

// What an update has of arrays and numbers.
struct UpdateVariant {
  bool kept;
  bool weights;
  bool gradient;
  bool average;
  double momentum;
  double weight_decay;

  [[nodiscard]] std::string name() const {
    return std::string(kept ? "kept " : "") + (weights ? "weights " : "") + (gradient ? "gradient " : "") +
           (average ? "average " : "") + "momentum " + std::to_string(momentum) + " decay " +
           std::to_string(weight_decay);
  }
};

// Every combination that an update may have: x goes somewhere, and an average is of weights.
std::vector<UpdateVariant> update_variants() {
  std::vector<UpdateVariant> result;
  for (unsigned bits = 0; bits < 16; ++bits) {
    UpdateVariant variant{.kept = (bits & 1U) != 0,
                          .weights = (bits & 2U) != 0,
                          .gradient = (bits & 4U) != 0,
                          .average = (bits & 8U) != 0,
                          .momentum = 0,
                          .weight_decay = 0};
    if (!(variant.kept || variant.weights || variant.gradient) || (variant.average && !variant.weights)) continue;
    for (const double momentum : {0.0, 0.9}) {
      for (const double weight_decay : {0.0, 0.05}) {
        variant.momentum = momentum;
        variant.weight_decay = weight_decay;
        result.push_back(variant);
      }
    }
  }
  return result;
}

// The arrays of an update, of one type of numbers.
template <typename T>
struct Arrays {
  std::vector<T> kept;
  std::vector<T> weights;
  std::vector<T> gradient;
  std::vector<T> average;
};

constexpr double step_size = 0.7;
constexpr double average_decay = 0.8;

// Plain loops in float64. M without a momentum, and a gradient that is rewritten, are not read.
Arrays<double> expected_arrays(const UpdateVariant& variant, const Arrays<float>& before,
                               const std::vector<double>& x) {
  Arrays<double> after{.kept = widened(before.kept),
                       .weights = widened(before.weights),
                       .gradient = widened(before.gradient),
                       .average = widened(before.average)};
  for (std::size_t i = 0; i < x.size(); ++i) {
    const bool adds = variant.kept && variant.momentum != 0;
    const double m = (adds ? variant.momentum * after.kept[i] : 0) + (step_size * x[i]);
    const double decay = variant.weights ? step_size * variant.weight_decay * after.weights[i] : 0;
    if (variant.kept) after.kept[i] = m;
    if (variant.gradient) {
      after.gradient[i] = m + decay;
    } else if (variant.weights) {
      after.weights[i] -= decay + m;
      after.average[i] = (average_decay * after.average[i]) + ((1 - average_decay) * after.weights[i]);
    }
  }
  return after;
}

// An update of arrays that it owns.
struct Update {
  const LayerShape& shape;
  UpdateVariant variant;
  std::size_t size = shape.size();
  Arrays<float> before{.kept = random_numbers<float>(size, 1),
                       .weights = random_numbers<float>(size, 2),
                       .gradient = std::vector<float>(size, std::numeric_limits<float>::quiet_NaN()),
                       .average = random_numbers<float>(size, 3)};
  Arrays<float> arrays = start();

  [[nodiscard]] Arrays<float> start() const {
    Arrays<float> result = before;
    if (variant.momentum == 0) result.kept.assign(size, std::numeric_limits<float>::quiet_NaN());
    return result;
  }
  [[nodiscard]] LayerUpdate update() {
    const auto vector = [&](bool has, std::vector<float>& numbers) -> std::optional<WeightView<float>> {
      if (!has) return std::nullopt;
      return shape_block(shape).view(std::span(numbers));
    };
    return {.step_size = step_size,
            .momentum = variant.momentum,
            .weight_decay = variant.weight_decay,
            .average_decay = average_decay,
            .kept = vector(variant.kept, arrays.kept),
            .weights = vector(variant.weights, arrays.weights),
            .gradient = vector(variant.gradient, arrays.gradient),
            .average = vector(variant.average, arrays.average)};
  }
  // Checks every array against plain loops: float32 rounds x's share by `error`, and each operation by 2⁻²⁴.
  void check(const std::vector<double>& x, double error) const {
    const Arrays<double> expected = expected_arrays(variant, before, x);
    const double bound = error + (4 * unit_roundoff * (norm(before.kept) + norm(before.weights) + norm(x)));
    const auto check_array = [&](bool has, const std::vector<float>& actual, const std::vector<double>& wanted) {
      if (has) CHECK(norm(difference(actual, wanted)) <= bound);
    };
    check_array(variant.kept, arrays.kept, expected.kept);
    check_array(variant.gradient, arrays.gradient, expected.gradient);
    check_array(variant.average && !variant.gradient, arrays.average, expected.average);
    if (variant.gradient || !variant.weights) CHECK(arrays.weights == before.weights);
    if (!variant.gradient) check_array(variant.weights, arrays.weights, expected.weights);
    if (variant.gradient || !variant.average) CHECK(arrays.average == before.average);
  }
};

void for_each_variant(const LayerShape& shape, auto&& check) {
  for (const UpdateVariant& variant : update_variants()) {
    CAPTURE(variant.name());
    Update update{.shape = shape, .variant = variant};
    check(update);
  }
}

// Few rows beside large sides: x is the product of two sets of rows.
RandomLayer rows_layer(KernelLayout layout, bool bias) {
  return {.shape = {.in_features = 310, .out_features = 270, .bias = bias, .layout = layout},
          .input_rows = 6,
          .output_rows = 6};
}

// Damping well above the rounding of the rows' eigenvalues, of which 6 hold what is relative to 300.
LayerOptions factored_options() {
  return {.damping = {.value = 100, .relative = true}, .damping_mode = DampingMode::factored, .method = Method::exact};
}

void for_each_updated(auto&& check) {
  for (const KernelLayout layout : {KernelLayout::out_in, KernelLayout::in_out}) {
    for (const bool bias : {false, true}) {
      CAPTURE(static_cast<int>(layout));
      CAPTURE(bias);
      check(rows_layer(layout, bias));
    }
  }
}

}  // namespace

TEST_CASE("update: every combination of arrays, by a direction that is formed") {
  for_each_updated([](const RandomLayer& layer) {
    const std::vector<float> x = random_numbers<float>(layer.size(), 4);
    for_each_variant(layer.shape, [&](Update& update) {
      update_all(update.update(), layer.block().view(std::span<const float>(x)));
      update.check(widened(x), 0);
    });
  });
}

TEST_CASE("update: every combination of arrays, by a direction of zero") {
  for_each_updated([](const RandomLayer& layer) {
    for_each_variant(layer.shape, [&](Update& update) {
      update_by_zero(update.update());
      update.check(std::vector<double>(layer.size()), 0);
    });
  });
}

TEST_CASE("update: a direction by rows updates as the same direction formed does") {
  for_each_updated([](const RandomLayer& layer) {
    StepRows rows(layer, 1);
    for (float& g : rows.loss_grads) g *= 1e-3F;  // so that x is of the size of the weights
    Layer network(layer.shape, factored_options());
    rows.record(network);
    network.refresh();
    const std::vector<double> v = rows.gradient();
    const std::vector<float> given(v.begin(), v.end());
    const LayerStep formed = network.prepare(layer.block().view(std::span<const float>(given)), {});
    REQUIRE(formed.summary.formed);
    const std::vector<double> x = widened(written(network));
    const LayerStep by_rows = network.prepare(std::nullopt, {});
    REQUIRE(by_rows.by_rows);
    // what the golden cases allow of a solution: 4·2⁻²⁴ times the condition, here of both damped factors
    const FactoredDamping gamma = formed.summary.factored.value();
    const double condition = (1 + (formed.traces.input / gamma.input)) * (1 + (formed.traces.output / gamma.output));
    const double lost = 4 * unit_roundoff * condition;
    CHECK(norm(x) > 10);
    CHECK(by_rows.vx == doctest::Approx(formed.vx).epsilon(lost));
    CHECK(relative_error(written(network), x) <= lost);
    for_each_variant(layer.shape, [&](Update& update) {
      network.write(update.update());
      update.check(x, lost * norm(x));
    });
  });
}

TEST_CASE("update: a layer without curvature has a direction of zero") {
  const RandomLayer layer{
      .shape = {.in_features = 5, .out_features = 4, .bias = true}, .input_rows = 6, .output_rows = 6};
  Layer network(layer.shape, factored_options());
  const std::vector<float> zeros(24);
  network.record(layer.batch().inputs, {zeros.data(), 6, 4}, 6, 1);
  network.refresh();
  CHECK_FALSE(network.prepare(std::nullopt, {}).curved);
  for_each_variant(layer.shape, [&](Update& update) {
    network.write(update.update());
    update.check(std::vector<double>(layer.size()), 0);
  });
}

TEST_CASE("update: a direction whose length leaves the range of float32 is refused, with everything untouched") {
  for_each_updated([](const RandomLayer& layer) {
    Layer network(layer.shape, factored_options());
    StepRows(layer, 1).record(network);
    network.refresh();
    for (const bool formed : {false, true}) {
      std::optional<WeightView<const float>> given;
      if (formed) given = layer.block().view(std::span<const float>(layer.v));
      (void)network.prepare(given, {});
      for_each_variant(layer.shape, [&](Update& update) {
        if (update.variant.momentum == 0) return;  // else there are numbers to compare
        LayerUpdate too_far = update.update();
        too_far.step_size = 1e41;
        CHECK_THROWS_WITH_AS(network.write(too_far),
                             "Expected a direction within the range of float32 for inputs, outputGrads and lossGrads "
                             "but received an overflow",
                             Error);
        CHECK(update.arrays.kept == update.before.kept);
        CHECK(update.arrays.weights == update.before.weights);
        CHECK(update.arrays.average == update.before.average);
      });
    }
  });
}

TEST_CASE("update: a direction that has nowhere to go is refused") {
  const std::vector<float> x(24, 1.0F);
  const LayerShape shape{.in_features = 5, .out_features = 4, .bias = true};
  const auto message = "Expected momentum, a gradient or weights to write to for the update but received none";
  CHECK_THROWS_WITH_AS(update_all({}, shape_block(shape).view(std::span(x))), message, Error);
  CHECK_THROWS_WITH_AS(update_by_zero({}), message, Error);
}

TEST_CASE("update: an average of weights moves by what it does not keep") {
  const std::vector<float> weights = random_numbers<float>(50000, 1);
  std::vector<float> average = random_numbers<float>(50000, 2);
  std::vector<double> expected(average.size());
  for (std::size_t i = 0; i < average.size(); ++i)
    expected[i] = (0.9 * static_cast<double>(average[i])) + (0.1 * static_cast<double>(weights[i]));
  average_weights(0.9, weights, average);
  CHECK(relative_error(average, expected) <= 4 * unit_roundoff);
  average.assign(average.size(), std::numeric_limits<float>::quiet_NaN());
  average_weights(0, weights, average);  // what is not kept is not read
  CHECK(average == weights);
}
