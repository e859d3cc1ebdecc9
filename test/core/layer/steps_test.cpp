// The phases of a step under factored damping: record, refresh, prepare, write, for every history of the factors.
#include <doctest/doctest.h>

#include <algorithm>
#include <limits>

#include "core/base/error.h"
#include "core/layer/layer.h"
#include "support/steps.h"

using namespace cgfac;
using namespace cgfac::test;

namespace {

constexpr double rho = 0.3;

LayerOptions factored(const FactorOptions& factor, const Damping& damping = {.value = rho, .relative = true}) {
  return {.damping = damping, .damping_mode = DampingMode::factored, .method = Method::exact, .factor = factor};
}

std::vector<RandomLayer> step_layers() {
  std::vector<RandomLayer> result = awkward_layers();
  for (const KernelLayout layout : {KernelLayout::out_in, KernelLayout::in_out}) {
    result.push_back({.shape = {.in_features = 90, .out_features = 60, .bias = true, .layout = layout},
                      .input_rows = 24,
                      .output_rows = 12});
    result.push_back({.shape = {.in_features = 20, .out_features = 140, .bias = true, .layout = layout},
                      .input_rows = 80,
                      .output_rows = 40});
  }
  return result;
}

// Checks x against the definition, by (G + γ_G I) x (A + γ_A I) = v, and the products.
void check(const FisherBlock& block, const DenseFactors& factors, const LayerStep& step, const std::vector<double>& v,
           const std::vector<float>& x, bool panel) {
  REQUIRE(step.curved);
  REQUIRE(step.summary.factored);
  const FactoredDamping& gamma = *step.summary.factored;
  if (!panel) {  // a panel without cut-off has the same, but for what rounding cut off
    CHECK(gamma.input == doctest::Approx(rho * mean_eigenvalue(factors.a)).epsilon(1e-5));
    CHECK(gamma.output == doctest::Approx(rho * mean_eigenvalue(factors.g)).epsilon(1e-5));
  }
  const std::vector<double> wide_x = widened(x);
  CHECK(relative_error(factors.multiply(block, gamma, wide_x), v) <= 2e-4);
  CHECK(step.vx == doctest::Approx(dot(v, x)).epsilon(1e-3));
  CHECK(step.bound >= norm(x) * (1 - 1e-6));
  CHECK(step.by_rows != step.summary.formed);
}

void check_directions(const RandomLayer& layer, FactorHistory history) {
  const FisherBlock block = layer.block();
  const bool panel = history == FactorHistory::panel;
  Layer network(layer.shape,
                factored({.history = history, .decay = 0.8, .rank = 1000, .panel_rows = 1000, .dense_dimension = 12}));
  const double decay = history == FactorHistory::none ? 0 : 0.8;
  DenseAverage a{.decay = decay};
  DenseAverage g{.decay = decay};
  for (std::uint64_t refresh = 0; refresh < 3; ++refresh) {
    const StepRows rows(layer, 10 * (refresh + 1));
    rows.record_sampled(network);
    network.refresh();
    a.add(factor_matrix(rows.batch.block().input));
    g.add(factor_matrix(rows.batch.block().output));
    const LayerStep own = network.prepare(std::nullopt, {});
    check(block, {.a = a.mean(), .g = g.mean()}, own, rows.gradient(), written(network), panel);
  }
  const DenseFactors factors{.a = a.mean(), .g = g.mean()};
  const StepRows unseen(layer, 1000);  // rows that the factors have not seen
  unseen.record(network);
  const LayerStep later = network.prepare(std::nullopt, {});
  const std::vector<float> x = written(network);
  check(block, factors, later, unseen.gradient(), x, panel);
  std::vector<float> momentum(layer.size(), 1.0F);
  network.write({.step_size = 0.5, .momentum = 0.25, .kept = block.view(std::span(momentum))});
  std::vector<double> expected(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) expected[i] = 0.25 + (0.5 * static_cast<double>(x[i]));
  CHECK(norm(difference(momentum, expected)) <= 1e-5 * norm(expected));

  const LayerStep given = network.prepare(block.view(std::span<const float>(layer.v)), {});
  CHECK(given.summary.formed);
  check(block, factors, given, widened(layer.v), written(network), panel);
  network.clear();  // a given gradient needs no rows
  (void)network.prepare(block.view(std::span<const float>(layer.v)), {});
  check(block, factors, given, widened(layer.v), written(network), panel);
}

}  // namespace

TEST_CASE("steps: directions of the batch's own gradient and of a given one, for every history") {
  for (const FactorHistory history : histories) {
    for (const RandomLayer& layer : step_layers()) {
      INFO(layer.name(), ", history ", static_cast<int>(history));
      check_directions(layer, history);
    }
  }
}

TEST_CASE("steps: the empirical Fisher, absolute damping, and the window of short batches") {
  const RandomLayer layer{
      .shape = {.in_features = 60, .out_features = 50, .bias = true}, .input_rows = 10, .output_rows = 10};
  const FisherBlock block = layer.block();
  Layer network(layer.shape, factored({.window = 25}, {.value = 0.01}));
  RandomLayer stacked = layer;  // the last 10, 20, 25 and 25 rows
  stacked.inputs.clear();
  stacked.output_grads.clear();
  for (std::size_t step = 0; step < 4; ++step) {
    const StepRows rows(layer, 100 + (10 * step));
    rows.record(network);
    network.refresh();
    const LayerStep own = network.prepare(std::nullopt, {});
    stacked.input_rows = stacked.output_rows = std::min<std::size_t>(10 * (step + 1), 25);
    stacked.inputs.insert(stacked.inputs.begin(), rows.batch.inputs.begin(), rows.batch.inputs.end());
    stacked.output_grads.insert(stacked.output_grads.begin(), rows.loss_grads.begin(), rows.loss_grads.end());
    stacked.inputs.resize(stacked.input_rows * 60);
    stacked.output_grads.resize(stacked.output_rows * 50);
    CHECK(own.input_rows == stacked.input_rows);
    CHECK(own.output_rows == stacked.output_rows);
    const DenseFactors factors{.a = factor_matrix(stacked.block().input), .g = factor_matrix(stacked.block().output)};
    const std::vector<double> v = rows.gradient();
    const std::vector<float> x = written(network);
    const FactoredDamping gamma = own.summary.factored.value();
    CHECK(gamma.input * gamma.output == doctest::Approx(0.01).epsilon(1e-6));
    CHECK(gamma.input / gamma.output ==
          doctest::Approx(mean_eigenvalue(factors.a) / mean_eigenvalue(factors.g)).epsilon(1e-5));
    CHECK(relative_error(factors.multiply(block, gamma, widened(x)), v) <= 1e-4);
    CHECK(own.vx == doctest::Approx(dot(v, x)).epsilon(1e-4));
  }
}

TEST_CASE("steps: sampled gradients of a part of a batch are no short batch") {
  const RandomLayer layer{
      .shape = {.in_features = 30, .out_features = 30, .bias = false}, .input_rows = 20, .output_rows = 10};
  Layer network(layer.shape, factored({.window = 20}));
  Layer wider(layer.shape, factored({.window = 30}));
  const StepRows rows(layer, 7);
  const auto last_step = [&](Layer& of) {
    for (int step = 0; step < 3; ++step) {
      rows.record_sampled(of);
      of.refresh();
    }
    return of.prepare(std::nullopt, {});
  };
  const LayerStep step = last_step(network);
  CHECK(step.input_rows == 20);
  CHECK(step.output_rows == 10);
  const LayerStep wider_step = last_step(wider);
  CHECK(wider_step.input_rows == 30);
  CHECK(wider_step.output_rows == 15);
}

TEST_CASE("steps: a short batch is filled up from the one before, both sides by the same share") {
  const auto take_in = [](Layer& layer, std::size_t inputs, std::size_t outputs) {
    const StepRows rows({.shape = layer.shape(), .input_rows = inputs, .output_rows = outputs}, inputs);
    rows.record_sampled(layer);
    layer.refresh();
    return layer.prepare(std::nullopt, {});
  };
  Layer network({.in_features = 30, .out_features = 20, .bias = true}, factored({.fills_up = true}));
  (void)take_in(network, 20, 10);
  const LayerStep shorter = take_in(network, 8, 4);
  CHECK(shorter.input_rows == 20);
  CHECK(shorter.output_rows == 10);
  const LayerStep again = take_in(network, 6, 6);  // up to the 8 rows that the batch before had of its own
  CHECK(again.input_rows == 8);
  CHECK(again.output_rows == 8);
  const LayerStep longer = take_in(network, 25, 5);
  CHECK(longer.input_rows == 25);
  CHECK(longer.output_rows == 5);
}

TEST_CASE("steps: a panel's cut-off goes into the damping") {
  const RandomLayer layer{
      .shape = {.in_features = 80, .out_features = 70, .bias = false}, .input_rows = 40, .output_rows = 40};
  const FactorOptions panel{.history = FactorHistory::panel, .rank = 8, .dense_dimension = 0};
  Layer network(layer.shape, factored(panel));
  network.record(layer.batch().inputs, layer.batch().output_grads, 40, 1);
  network.refresh();
  const LayerStep step = network.prepare(std::nullopt, {});
  const auto kept = [](const FactorState& factor) {
    double sum = 0;
    for (const double square : factor.squares) sum += square;
    return sum;
  };
  const FactorState input = network.state().input;
  const FactorState output = network.state().output;
  CHECK(input.squares.size() == 8);
  CHECK(input.trace == doctest::Approx(mean_eigenvalue(factor_matrix(layer.block().input)) * 80).epsilon(1e-5));
  CHECK(kept(input) < 0.5 * input.trace);
  // relative to the mean of the 8 eigenvalues that are kept
  CHECK(step.summary.factored->input ==
        doctest::Approx((0.3 * input.trace / 8) + ((input.trace - kept(input)) / 80)).epsilon(1e-9));
  CHECK(step.summary.factored->output ==
        doctest::Approx((0.3 * output.trace / 8) + ((output.trace - kept(output)) / 70)).epsilon(1e-9));
  Layer tikhonov(layer.shape, {.damping = {.value = 0.3, .relative = true}, .method = Method::exact, .factor = panel});
  tikhonov.record(layer.batch().inputs, layer.batch().output_grads, 40, 1);
  tikhonov.refresh();
  const double lost = (input.trace * output.trace) - (kept(input) * kept(output));
  CHECK(tikhonov.prepare(std::nullopt, {}).summary.damping ==
        doctest::Approx((0.3 * input.trace / 8 * output.trace / 8) + (lost / (80 * 70))).epsilon(1e-9));
}

TEST_CASE("steps: factors next to zero are no curvature") {
  const RandomLayer layer{
      .shape = {.in_features = 5, .out_features = 4, .bias = true}, .input_rows = 6, .output_rows = 6};
  std::vector<float> tiny = layer.output_grads;
  for (float& number : tiny) number *= 1e-22F;
  Layer network(layer.shape, factored({}, {.value = 1, .relative = true}));
  network.record(layer.batch().inputs, layer.batch().output_grads, 6, 1);
  network.record_fisher({tiny.data(), 6, 4}, 1);
  network.refresh();
  const LayerStep step = network.prepare(std::nullopt, {});
  CHECK(step.vx == 0);
  CHECK_FALSE(step.curved);
  CHECK_FALSE(step.summary.factored);
}

TEST_CASE("steps: batches that accumulate are one batch") {
  const RandomLayer layer{
      .shape = {.in_features = 30, .out_features = 20, .bias = true}, .input_rows = 16, .output_rows = 16};
  const Batch all = layer.batch();
  std::vector<float> whole;
  std::vector<float> halves;
  for (const bool split : {false, true}) {
    Layer network(layer.shape, factored({}, {.value = 1, .relative = true}));
    if (split) {
      network.record(all.inputs.rows_from(0, 6), all.output_grads.rows_from(0, 6), 6, 1);
      network.record(all.inputs.rows_from(6, 10), all.output_grads.rows_from(6, 10), 10, 1);
    } else {
      network.record(all.inputs, all.output_grads, 16, 1);
    }
    network.refresh();
    (split ? halves : whole) = direction(network);
  }
  CHECK(whole == halves);
}

TEST_CASE("steps: rows recorded behind those that the factors took in leave these as they were") {
  const RandomLayer layer{
      .shape = {.in_features = 30, .out_features = 20, .bias = true}, .input_rows = 16, .output_rows = 16};
  const FisherBlock block = layer.block();
  const auto solve_given = [&](Layer& network) {
    (void)network.prepare(block.view(std::span<const float>(layer.v)), {});
    return written(network);
  };
  Layer network(layer.shape, factored({}));
  const StepRows first(layer, 1);
  const StepRows second(layer, 2);
  first.record(network);
  network.refresh();
  const std::vector<float> expected = solve_given(network);
  for (int i = 0; i < 20; ++i) network.record(second.inputs(), second.loss(), 16, 1);
  network.set_damping({.value = 1, .relative = true});
  (void)solve_given(network);
  network.set_damping({.value = rho, .relative = true});
  CHECK(solve_given(network) == expected);
}

TEST_CASE("steps: zeros, and what is not finite") {
  const RandomLayer layer{
      .shape = {.in_features = 5, .out_features = 4, .bias = true}, .input_rows = 6, .output_rows = 6};
  Layer network(layer.shape, factored({}, {.value = 1}));
  CHECK_THROWS_WITH_AS((void)network.prepare(std::nullopt, {}),
                       "Expected a batch from record() for the step but received none", Error);
  network.set_damping({.value = 1, .relative = true});
  const std::vector<float> zeros(24);
  network.record(layer.batch().inputs, {zeros.data(), 6, 4}, 6, 1);
  network.refresh();
  const LayerStep step = network.prepare(std::nullopt, {});
  CHECK(step.vx == 0);
  CHECK_FALSE(step.curved);
  std::vector<float> x(layer.size(), 3.0F);
  network.write({.step_size = 1, .momentum = 0.5, .kept = layer.block().view(std::span(x))});
  CHECK(x == std::vector<float>(layer.size(), 1.5F));
  std::vector<float> bad = layer.inputs;
  bad[7] = std::numeric_limits<float>::quiet_NaN();
  network.clear();
  network.record({bad.data(), 6, 5}, {zeros.data(), 6, 4}, 6, 1);
  CHECK_THROWS_WITH_AS(network.require_finite(), "Expected finite numbers for inputs but received NaN at index 7",
                       Error);
  CHECK_THROWS_WITH_AS(network.refresh(), "Expected finite numbers for inputs but received NaN at index 7", Error);
}

TEST_CASE("steps: gradients and rows that are not finite are named, for every method") {
  const RandomLayer layer{
      .shape = {.in_features = 5, .out_features = 4, .bias = true}, .input_rows = 6, .output_rows = 6};
  for (const Method method : {Method::cg, Method::exact, Method::kfac}) {
    CAPTURE(static_cast<int>(method));
    LayerOptions options{.damping = {.value = 1}, .method = method};
    if (method == Method::kfac) options.factor.history = FactorHistory::dense;
    Layer network(layer.shape, options);
    StepRows(layer, 1).record(network);
    network.refresh();
    std::vector<float> bad = layer.v;
    bad[7] = std::numeric_limits<float>::quiet_NaN();
    CHECK_THROWS_AS((void)network.prepare(layer.block().view(std::span<const float>(bad)), {}), Error);
    std::vector<float> far(layer.inputs.size(), 1e30F);  // finite, as its products are not
    std::vector<float> grads(24, 1e30F);
    network.clear();
    network.record({far.data(), 6, 5}, {grads.data(), 6, 4}, 6, 1);
    CHECK_THROWS_AS((void)network.prepare(std::nullopt, {}), Error);
  }
}
