#include "core/layer/factored_layer.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "core/base/error.h"
#include "core/threads/thread_pool.h"
#include "support/layers.h"

using namespace cgfac;
using namespace cgfac::test;

namespace {

using Dense = std::vector<double>;  // d × d

Dense dense_factor(const Side& side) {
  const std::size_t d = side.dimension();
  Dense factor(d * d);
  const auto element = [&](std::size_t i, std::size_t j) {
    return j < side.rows.cols ? static_cast<double>(side.rows(i, j)) : 1.0;
  };
  for (std::size_t i = 0; i < side.count(); ++i) {
    for (std::size_t j = 0; j < d; ++j) {
      for (std::size_t k = 0; k < d; ++k) factor[(j * d) + k] += side.scale * element(i, j) * element(i, k);
    }
  }
  return factor;
}

void average(Dense& factor, const Dense& fresh, double decay) {
  if (factor.empty()) {
    factor = fresh;
    return;
  }
  for (std::size_t i = 0; i < factor.size(); ++i) factor[i] = (decay * factor[i]) + ((1 - decay) * fresh[i]);
}

double mean_eigenvalue(const Dense& factor) {
  const auto d = static_cast<std::size_t>(std::lround(std::sqrt(static_cast<double>(factor.size()))));
  double sum = 0;
  for (std::size_t i = 0; i < d; ++i) sum += factor[i * (d + 1)];
  return sum / static_cast<double>(d);
}

// (G + γ_G I) x (A + γ_A I), kernel and bias in one m × n array
Dense multiply(const Dense& g, double gamma_g, const Dense& x, const Dense& a, double gamma_a, std::size_t m,
               std::size_t n) {
  Dense gx(m * n);
  Dense result(m * n);
  for (std::size_t i = 0; i < m; ++i) {
    for (std::size_t k = 0; k < m; ++k) {
      for (std::size_t j = 0; j < n; ++j) gx[(i * n) + j] += (g[(i * m) + k] + (i == k ? gamma_g : 0)) * x[(k * n) + j];
    }
    for (std::size_t k = 0; k < n; ++k) {
      for (std::size_t j = 0; j < n; ++j) {
        result[(i * n) + j] += gx[(i * n) + k] * (a[(k * n) + j] + (k == j ? gamma_a : 0));
      }
    }
  }
  return result;
}

Dense dense_vector(const FisherBlock& block, const std::vector<float>& numbers) {
  const WeightView<const float> view = block.view(std::span<const float>(numbers));
  const std::size_t n = block.cols();
  Dense result(block.size());
  for (std::size_t i = 0; i < block.rows(); ++i) {
    for (std::size_t j = 0; j < n; ++j) {
      result[(i * n) + j] = static_cast<double>(j < block.input.rows.cols ? view.kernel(i, j) : view.bias[i]);
    }
  }
  return result;
}

// g_vᵀ [a 1]/samples
Dense own_gradient(const RandomLayer& layer, const std::vector<float>& loss_grads, std::size_t samples) {
  const FisherBlock block = layer.block();
  const std::size_t n = block.cols();
  Dense v(block.size());
  for (std::size_t row = 0; row < layer.input_rows; ++row) {
    for (std::size_t i = 0; i < block.rows(); ++i) {
      for (std::size_t j = 0; j < n; ++j) {
        const double a = j < block.input.rows.cols ? static_cast<double>(block.input.rows(row, j)) : 1.0;
        v[(i * n) + j] += static_cast<double>(loss_grads[(row * block.rows()) + i]) * a / static_cast<double>(samples);
      }
    }
  }
  return v;
}

std::vector<RandomLayer> layers() {
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

struct Reference {
  Dense a;
  Dense g;
};

// Checks x against the definition, by (G + γ_G I) x (A + γ_A I) = v, and the products.
void check(const RandomLayer& layer, const Reference& factors, const FactoredStep& step, const Dense& v,
           const std::vector<float>& x, double rho, bool panel) {
  const FisherBlock block = layer.block();
  const Dense dense_x = dense_vector(block, x);
  if (!panel) {  // a panel without cut-off has the same, but for what rounding cut off
    CHECK(step.gamma.input == doctest::Approx(rho * mean_eigenvalue(factors.a)).epsilon(1e-5));
    CHECK(step.gamma.output == doctest::Approx(rho * mean_eigenvalue(factors.g)).epsilon(1e-5));
  }
  const Dense image =
      multiply(factors.g, step.gamma.output, dense_x, factors.a, step.gamma.input, block.rows(), block.cols());
  CHECK(norm(difference(image, v)) <= 2e-4 * norm(v));
  CHECK(step.vx == doctest::Approx(cgfac::test::dot(v, dense_x)).epsilon(1e-3));
  const Dense fx = multiply(factors.g, 0, dense_x, factors.a, 0, block.rows(), block.cols());
  CHECK(step.xfx == doctest::Approx(cgfac::test::dot(dense_x, fx)).epsilon(1e-3));
}

}  // namespace

TEST_CASE("factored layer: directions of the batch's own gradient and of a given one, for every history") {
  constexpr double rho = 0.3;
  for (const FactorHistory history : {FactorHistory::none, FactorHistory::panel, FactorHistory::dense}) {
    for (const RandomLayer& layer : layers()) {
      INFO(layer.name(), ", history ", static_cast<int>(history));
      FactoredLayer network(
          layer.shape,
          {.factor = {.history = history, .decay = 0.8, .rank = 1000, .panel_rows = 1000, .dense_dimension = 12}});
      Reference factors;
      std::vector<float> loss_grads;
      std::vector<float> x(layer.size());
      RandomLayer batch = layer;
      const std::size_t samples = layer.input_rows;
      const auto record = [&](std::uint64_t seed) {
        batch.inputs = random_numbers<float>(batch.inputs.size(), seed);
        batch.output_grads = random_numbers<float>(batch.output_grads.size(), seed + 1);
        loss_grads = random_numbers<float>(layer.input_rows * layer.shape.out_features, seed + 2);
        network.clear();
        network.record({batch.inputs.data(), batch.input_rows, batch.shape.in_features},
                       {loss_grads.data(), batch.input_rows, batch.shape.out_features}, samples, 1);
      };
      const FisherBlock block = layer.block();
      for (std::uint64_t refresh = 0; refresh < 3; ++refresh) {
        record(10 * (refresh + 1));
        network.record_fisher({batch.output_grads.data(), batch.output_rows, batch.shape.out_features}, 1);
        network.refresh();
        // weights 0.8², 0.8, 1, and their sum 1 − 0.8³ over 1 − 0.8
        const double before = 1 - std::pow(0.8, static_cast<double>(refresh));
        const double kept = history == FactorHistory::none ? 0 : 0.8 * before / ((0.8 * before) + 0.2);
        average(factors.a, dense_factor(batch.block().input), kept);
        average(factors.g, dense_factor(batch.block().output), kept);
        const FactoredStep own = network.prepare({.value = rho, .relative = true}, true);
        network.write({.out = block.view(std::span(x))});
        check(layer, factors, own, own_gradient(batch, loss_grads, samples), x, rho, history == FactorHistory::panel);
      }
      record(1000);  // rows that the factors have not seen
      const FactoredStep later = network.prepare({.value = rho, .relative = true}, true);
      std::vector<float> momentum(layer.size(), 1.0F);
      network.write({.out = block.view(std::span(x))});
      network.write({.out = block.view(std::span(momentum)), .factor = 0.5, .keep = 0.25});
      check(layer, factors, later, own_gradient(batch, loss_grads, samples), x, rho, history == FactorHistory::panel);
      std::vector<double> expected_momentum(x.size());
      for (std::size_t i = 0; i < x.size(); ++i) expected_momentum[i] = 0.25 + (0.5 * static_cast<double>(x[i]));
      CHECK(norm(difference(momentum, expected_momentum)) <= 1e-5 * norm(expected_momentum));

      std::vector<float> given = layer.v;
      const FactoredStep general =
          network.precondition({.value = rho, .relative = true}, block.view(std::span(given)), true);
      check(layer, factors, general, dense_vector(block, layer.v), given, rho, history == FactorHistory::panel);
    }
  }
}

TEST_CASE("factored layer: the empirical Fisher, absolute damping, and the window of short batches") {
  const RandomLayer layer{
      .shape = {.in_features = 60, .out_features = 50, .bias = true}, .input_rows = 10, .output_rows = 10};
  const FisherBlock block = layer.block();
  FactoredLayer network(layer.shape, {.factor = {.window = 25}});
  Reference factors;
  std::vector<std::vector<float>> inputs;
  std::vector<std::vector<float>> grads;
  std::vector<float> x(layer.size());
  for (std::size_t step = 0; step < 4; ++step) {
    inputs.insert(inputs.begin(), random_numbers<float>(layer.inputs.size(), 100 + step));
    grads.insert(grads.begin(), random_numbers<float>(layer.output_grads.size(), 200 + step));
    network.clear();
    network.record({inputs[0].data(), 10, 60}, {grads[0].data(), 10, 50}, 10, 1);
    network.refresh();
    const FactoredStep own = network.prepare({.value = 0.01}, true);
    network.write({.out = block.view(std::span(x))});

    RandomLayer stacked = layer;  // the last 10, 20, 25 and 25 rows
    stacked.input_rows = stacked.output_rows = std::min<std::size_t>(10 * (step + 1), 25);
    stacked.inputs.clear();
    stacked.output_grads.clear();
    for (std::size_t i = 0; i <= step; ++i) {
      stacked.inputs.insert(stacked.inputs.end(), inputs[i].begin(), inputs[i].end());
      stacked.output_grads.insert(stacked.output_grads.end(), grads[i].begin(), grads[i].end());
    }
    stacked.inputs.resize(stacked.input_rows * 60);
    stacked.output_grads.resize(stacked.output_rows * 50);
    factors = {.a = dense_factor(stacked.block().input), .g = dense_factor(stacked.block().output)};
    RandomLayer batch = layer;
    batch.inputs = inputs[0];
    const Dense v = own_gradient(batch, grads[0], 10);
    const Dense dense_x = dense_vector(block, x);
    CHECK(own.gamma.input * own.gamma.output == doctest::Approx(0.01).epsilon(1e-6));
    CHECK(own.gamma.input / own.gamma.output ==
          doctest::Approx(mean_eigenvalue(factors.a) / mean_eigenvalue(factors.g)).epsilon(1e-5));
    const Dense image = multiply(factors.g, own.gamma.output, dense_x, factors.a, own.gamma.input, 50, 61);
    CHECK(norm(difference(image, v)) <= 1e-4 * norm(v));
    CHECK(own.vx == doctest::Approx(cgfac::test::dot(v, dense_x)).epsilon(1e-4));
  }
}

TEST_CASE("factored layer: sampled gradients of a part of a batch are no short batch") {
  const RandomLayer layer{
      .shape = {.in_features = 30, .out_features = 30, .bias = false}, .input_rows = 20, .output_rows = 10};
  FactoredLayer network(layer.shape, {.factor = {.window = 20}});
  FactoredLayer wider(layer.shape, {.factor = {.window = 30}});
  const std::vector<float> loss_grads = random_numbers<float>(20 * 30, 7);
  for (FactoredLayer* const each : {&network, &wider}) {
    for (int step = 0; step < 3; ++step) {
      each->clear();
      each->record(layer.batch().inputs, {loss_grads.data(), 20, 30}, 20, 1);
      each->record_fisher(layer.batch().output_grads, 1);
      each->refresh();
    }
  }
  CHECK(network.input().rows() == 20);
  CHECK(network.output().rows() == 10);
  CHECK(wider.input().rows() == 30);
  CHECK(wider.output().rows() == 15);
}

TEST_CASE("factored layer: a panel's cut-off goes into the damping") {
  const RandomLayer layer{
      .shape = {.in_features = 80, .out_features = 70, .bias = false}, .input_rows = 40, .output_rows = 40};
  FactoredLayer network(layer.shape, {.factor = {.history = FactorHistory::panel, .rank = 8, .dense_dimension = 0}});
  network.record(layer.batch().inputs, layer.batch().output_grads, 40, 1);
  network.refresh();
  const FactoredStep step = network.prepare({.value = 0.3, .relative = true}, false);
  const DampedFactor& input = network.input();
  CHECK(input.rank() == 8);
  CHECK(input.trace() == doctest::Approx(mean_eigenvalue(dense_factor(layer.block().input)) * 80).epsilon(1e-5));
  CHECK(input.kept_trace() < 0.5 * input.trace());
  // relative to the mean of the 8 eigenvalues that are kept
  CHECK(step.gamma.input ==
        doctest::Approx((0.3 * input.trace() / 8) + ((input.trace() - input.kept_trace()) / 80)).epsilon(1e-9));
}

TEST_CASE("factored layer: the first batch weighs no more in an average than the others") {
  const auto rows = [](float value) { return std::vector<float>{value, 0, 0, value}; };
  for (const FactorHistory history : {FactorHistory::panel, FactorHistory::dense}) {
    DampedFactor factor(2, {.history = history, .decay = 0.9, .rank = 2, .dense_dimension = 0});
    double sum = 0;
    double weights = 0;
    for (int k = 1; k <= 30; ++k) {
      const std::vector<float> batch = rows(static_cast<float>(k));
      factor.refresh({.rows = {batch.data(), 2, 2}, .homogeneous = false, .scale = 1});
      sum = (0.9 * sum) + (2.0 * k * k);
      weights = (0.9 * weights) + 1;
      CHECK(factor.trace() == doctest::Approx(sum / weights).epsilon(1e-5));
      CHECK(factor.kept_trace() == doctest::Approx(factor.trace()).epsilon(1e-5));
    }
  }
}

TEST_CASE("factored layer: a panel takes its rows from everywhere in a batch, other ones at each refresh") {
  // 8 samples of 16 positions; position t is feature t. Taking every sixteenth row would see one position for ever.
  constexpr std::size_t positions = 16;
  constexpr std::size_t count = 8 * positions;
  std::vector<float> rows(count * positions);
  for (std::size_t i = 0; i < count; ++i) rows[(i * positions) + (i % positions)] = 1;
  DampedFactor factor(
      positions, {.history = FactorHistory::panel, .decay = 0.99, .rank = 16, .panel_rows = 8, .dense_dimension = 0});
  constexpr int refreshes = 200;
  for (int k = 0; k < refreshes; ++k)
    factor.refresh({.rows = {rows.data(), count, positions}, .homogeneous = false, .scale = 1.0 / 8});
  const FactorState state = factor.state();
  for (std::size_t t = 0; t < positions; ++t) {
    double energy = 0;
    for (std::size_t k = 0; k < state.squares.size(); ++k)
      energy += std::pow(static_cast<double>(state.rows[(k * positions) + t]), 2);
    // 1 in all rows; a refresh draws position t 0, 1 or 2 times of 8 with weight 2: a mean over some 100 draws
    CHECK(energy == doctest::Approx(1).epsilon(0.5));
  }
}

TEST_CASE("factored layer: a refresh that is taken back has not been") {
  const RandomLayer layer{
      .shape = {.in_features = 40, .out_features = 9, .bias = true}, .input_rows = 20, .output_rows = 20};
  const FisherBlock block = layer.block();
  for (const FactorHistory history : {FactorHistory::none, FactorHistory::panel, FactorHistory::dense}) {
    const FactoredLayerOptions options{
        .factor = {.history = history, .decay = 0.9, .rank = 6, .panel_rows = 5, .window = 30, .dense_dimension = 12}};
    FactoredLayer network(layer.shape, options);
    FactoredLayer undisturbed(layer.shape, options);
    const auto take_in = [&](FactoredLayer& to, std::uint64_t seed) {
      const std::vector<float> inputs = random_numbers<float>(layer.inputs.size(), seed);
      const std::vector<float> grads = random_numbers<float>(layer.output_grads.size(), seed + 1);
      to.clear();
      to.record({inputs.data(), 20, 40}, {grads.data(), 20, 9}, 20, 1);
      to.settle();
      to.refresh();
    };
    const auto direction = [&](FactoredLayer& of) {
      std::vector<float> x(layer.size());
      (void)of.prepare({.value = 1, .relative = true}, false);
      of.write({.out = block.view(std::span(x))});
      return x;
    };
    for (const std::uint64_t seed : {10U, 20U}) {
      take_in(network, seed);
      take_in(undisturbed, seed);
    }
    take_in(network, 30);
    CHECK(direction(network) != direction(undisturbed));
    network.roll_back();
    network.roll_back();  // once is enough
    take_in(network, 40);
    take_in(undisturbed, 40);
    CHECK(direction(network) == direction(undisturbed));
    network.settle();
    network.roll_back();
    CHECK(direction(network) == direction(undisturbed));
    // of the first refresh nothing is left
    FactoredLayer fresh(layer.shape, options);
    take_in(fresh, 1);
    fresh.roll_back();
    CHECK_FALSE(fresh.refreshed());
  }
}

TEST_CASE("factored layer: factors next to zero are no curvature") {
  const RandomLayer layer{
      .shape = {.in_features = 5, .out_features = 4, .bias = true}, .input_rows = 6, .output_rows = 6};
  std::vector<float> tiny = layer.output_grads;
  for (float& number : tiny) number *= 1e-22F;
  FactoredLayer network(layer.shape, {});
  network.record(layer.batch().inputs, layer.batch().output_grads, 6, 1);
  network.record_fisher({tiny.data(), 6, 4}, 1);
  network.refresh();
  const FactoredStep step = network.prepare({.value = 1, .relative = true}, false);
  CHECK(step.vx == 0);
  CHECK(step.gamma.output == 0);
}

TEST_CASE("factored layer: largest eigenvalue and effective rank of a side") {
  // one direction repeated: eigenvalues 2·5 = 10 (and with a homogeneous coordinate nothing else), 0, 0, …
  const std::vector<float> row{1, 2, 0, 0, 0, 0};
  std::vector<float> rows;
  for (int i = 0; i < 4; ++i) rows.insert(rows.end(), row.begin(), row.end());
  for (const FactorHistory history : {FactorHistory::none, FactorHistory::panel, FactorHistory::dense}) {
    DampedFactor factor(6, {.history = history, .rank = 3, .dense_dimension = 0});
    factor.refresh({.rows = {rows.data(), 4, 6}, .homogeneous = false, .scale = 0.5});
    factor.damp(10);
    CHECK(factor.trace() == doctest::Approx(10));
    CHECK(factor.largest() == doctest::Approx(10).epsilon(1e-6));
    CHECK(factor.effective_rank() == doctest::Approx(0.5).epsilon(1e-6));
  }
  // p − y of two classes: a vector of ones, where a power method might start, is what its factor maps to 0
  const std::vector<float> errors{0.25F, -0.25F, -0.5F, 0.5F};
  DampedFactor softmax(2, {.history = FactorHistory::dense});
  softmax.refresh({.rows = {errors.data(), 2, 2}, .homogeneous = false, .scale = 0.5});
  softmax.damp(1);
  CHECK(softmax.largest() == doctest::Approx(0.3125).epsilon(1e-6));
  CHECK(largest_eigenvalue({.rows = {errors.data(), 2, 2}, .homogeneous = false, .scale = 0.5}) ==
        doctest::Approx(0.3125).epsilon(1e-6));
  CHECK(largest_eigenvalue({.rows = {errors.data(), 2, 2}, .homogeneous = true, .scale = 0.5}) ==
        doctest::Approx(1.0428).epsilon(1e-3));
}

TEST_CASE("factored layer: batches that accumulate are one batch") {
  const RandomLayer layer{
      .shape = {.in_features = 30, .out_features = 20, .bias = true}, .input_rows = 16, .output_rows = 16};
  const FisherBlock block = layer.block();
  const Batch all = layer.batch();
  std::vector<float> whole(layer.size());
  std::vector<float> halves(layer.size());
  for (const bool split : {false, true}) {
    FactoredLayer network(layer.shape, {});
    if (split) {
      network.record(all.inputs.rows_from(0, 6), all.output_grads.rows_from(0, 6), 6, 1);
      network.record(all.inputs.rows_from(6, 10), all.output_grads.rows_from(6, 10), 10, 1);
    } else {
      network.record(all.inputs, all.output_grads, 16, 1);
    }
    network.refresh();
    (void)network.prepare({.value = 1, .relative = true}, false);
    network.write({.out = block.view(std::span(split ? halves : whole))});
  }
  CHECK(whole == halves);
}

TEST_CASE("factored layer: a restored layer goes on with the same bits, with any number of pool threads") {
  const RandomLayer layer{
      .shape = {.in_features = 250, .out_features = 230, .bias = true}, .input_rows = 70, .output_rows = 35};
  const FisherBlock block = layer.block();
  for (const FactorHistory history : {FactorHistory::none, FactorHistory::panel, FactorHistory::dense}) {
    const FactoredLayerOptions options{.factor = {.history = history, .rank = 20, .panel_rows = 16, .window = 100}};
    FactoredLayer first(layer.shape, options);
    FactoredLayer second(layer.shape, options);
    const auto step = [&](FactoredLayer& network, std::uint64_t seed, std::vector<float>& x) {
      const auto inputs = random_numbers<float>(layer.inputs.size(), seed);
      const auto grads = random_numbers<float>(70 * 230, seed + 1);
      network.clear();
      network.record({inputs.data(), 70, 250}, {grads.data(), 70, 230}, 70, 1);
      network.record_fisher(layer.batch().output_grads, 1);
      if (seed % 2 == 0) network.refresh();
      x.assign(layer.size(), 0);
      (void)network.prepare({.value = 0.5, .relative = true}, false);
      network.write({.out = block.view(std::span(x))});
    };
    std::vector<float> x;
    std::vector<float> y;
    for (std::uint64_t seed = 0; seed < 3; ++seed) step(first, seed, x);
    second.restore(first.input().state(), first.output().state());
    const std::size_t threads = ThreadPool::shared().size();
    for (std::uint64_t seed = 3; seed < 6; ++seed) {
      step(first, seed, x);
      ThreadPool::shared().resize(1);
      step(second, seed, y);
      ThreadPool::shared().resize(threads);
      CHECK(x == y);
    }
    FactoredLayer other({.in_features = 10, .out_features = 10}, options);
    CHECK_THROWS_AS(other.restore(first.input().state(), first.output().state()), Error);
  }
}

TEST_CASE("factored layer: zeros, and what is not finite") {
  const RandomLayer layer{
      .shape = {.in_features = 5, .out_features = 4, .bias = true}, .input_rows = 6, .output_rows = 6};
  const FisherBlock block = layer.block();
  FactoredLayer network(layer.shape, {});
  CHECK_THROWS_WITH_AS((void)network.prepare({.value = 1}, false),
                       "Expected a batch from record() for the step but received none", Error);
  const std::vector<float> zeros(24);
  network.record(layer.batch().inputs, {zeros.data(), 6, 4}, 6, 1);
  network.refresh();
  CHECK(network.prepare({.value = 1, .relative = true}, true).vx == 0);
  std::vector<float> x(layer.size(), 3.0F);
  network.write({.out = block.view(std::span(x)), .factor = 1, .keep = 0.5});
  CHECK(x == std::vector<float>(layer.size(), 1.5F));
  std::vector<float> bad = layer.inputs;
  bad[7] = std::numeric_limits<float>::quiet_NaN();
  network.clear();
  network.record({bad.data(), 6, 5}, {zeros.data(), 6, 4}, 6, 1);
  CHECK_THROWS_WITH_AS(network.require_finite(), "Expected finite numbers for inputs but received NaN at index 7",
                       Error);
}
