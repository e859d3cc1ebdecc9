#include <doctest/doctest.h>

#include <cmath>
#include <span>
#include <vector>

#include "support/layers.h"
#include "support/solutions.h"
#include "support/steps.h"

using namespace cgfac;
using namespace cgfac::test;

namespace {

// Rows that outnumber the sides, so that directions are formed, and fewer of them; with a bias and without, both
// layouts.
std::vector<RandomLayer> measured_layers() {
  std::vector<RandomLayer> result;
  for (const KernelLayout layout : {KernelLayout::out_in, KernelLayout::in_out}) {
    for (const bool bias : {true, false}) {
      result.push_back({.shape = {.in_features = 90, .out_features = 60, .bias = bias, .layout = layout},
                        .input_rows = 24,
                        .output_rows = 12});
      result.push_back({.shape = {.in_features = 7, .out_features = 5, .bias = bias, .layout = layout},
                        .input_rows = 80,
                        .output_rows = 40});
    }
  }
  return result;
}

Layer measured(const LayerShape& shape) {
  return {
      shape,
      {.damping = {.value = 0.5, .relative = true}, .damping_mode = DampingMode::factored, .method = Method::exact}};
}

// gᵀ X [a 1] in float64, for x as it lies in memory
double product(const LayerShape& shape, std::span<const float> x, const float* inputs, const float* grads) {
  const WeightView<const float> view = shape_block(shape).view(x);
  double sum = 0;
  for (std::size_t i = 0; i < shape.out_features; ++i) {
    double row = view.bias.empty() ? 0 : static_cast<double>(view.bias[i]);
    for (std::size_t j = 0; j < shape.in_features; ++j)
      row += static_cast<double>(view.kernel(i, j)) * static_cast<double>(inputs[j]);
    sum += row * static_cast<double>(grads[i]);
  }
  return sum;
}

}  // namespace

TEST_CASE("measure: sampled products and the norm of a direction are those of its numbers") {
  for (const RandomLayer& layer : measured_layers()) {
    INFO(layer.name());
    const StepRows rows(layer, 5);
    Layer network = measured(layer.shape);
    rows.record_sampled(network);
    network.refresh();
    const LayerStep step = network.prepare(std::nullopt, {});
    const std::vector<float> x = written(network);
    CHECK(network.direction_norm() == doctest::Approx(norm(x)).epsilon(1e-4));
    CHECK(network.direction_norm() <= step.bound * (1 + 1e-5));
    const SampledProducts found = network.sampled_products();
    REQUIRE(found.u.size() == layer.input_rows);
    CHECK(found.samples == layer.output_rows);
    for (std::size_t b = 0; b < layer.input_rows; ++b) {
      if (b >= layer.output_rows) {
        CHECK(found.u[b] == 0);
        continue;
      }
      const double expected = product(layer.shape, x, rows.inputs().data + (b * layer.shape.in_features),
                                      rows.sampled().data + (b * layer.shape.out_features));
      CHECK(found.u[b] == doctest::Approx(expected).epsilon(2e-3).scale(norm(x)));
    }
  }
}

TEST_CASE("measure: a sample's positions are summed, over sites as well") {
  const RandomLayer layer{
      .shape = {.in_features = 4, .out_features = 3, .bias = true}, .input_rows = 12, .output_rows = 12};
  const StepRows rows(layer, 9);
  Layer network = measured(layer.shape);
  // 3 samples at 2 positions each, at two sites
  for (const std::size_t first : {0U, 6U}) {
    network.record(rows.inputs().rows_from(first, 6), rows.loss().rows_from(first, 6), first == 0 ? 3 : 0, 1,
                   {.first = 0, .count = 3});
    network.record_fisher(rows.sampled().rows_from(first, 4), 2);  // of the first two samples
  }
  network.refresh();
  (void)network.prepare(std::nullopt, {});
  const std::vector<float> x = written(network);
  const SampledProducts found = network.sampled_products();
  REQUIRE(found.u.size() == 3);
  CHECK(found.samples == 2);
  for (std::size_t b = 0; b < 3; ++b) {
    double expected = 0;
    for (const std::size_t row : {2 * b, (2 * b) + 1, (2 * b) + 6, (2 * b) + 7}) {
      if (b < 2)
        expected += 2 * product(layer.shape, x, rows.inputs().data + (row * 4), rows.sampled().data + (row * 3));
    }
    CHECK(found.u[b] == doctest::Approx(expected).epsilon(1e-3));
  }
  network.record_fisher(rows.sampled().rows_from(0, 1), 1);  // belongs to no part
  CHECK(network.sampled_products().u.empty());
}

TEST_CASE("measure: gradients for the length of the step alone are no factor") {
  const RandomLayer layer{
      .shape = {.in_features = 6, .out_features = 5, .bias = true}, .input_rows = 20, .output_rows = 20};
  const StepRows rows(layer, 3);
  Layer empirical = measured(layer.shape);
  rows.record(empirical);
  empirical.refresh();
  Layer network = measured(layer.shape);
  rows.record(network);
  network.record_fisher(rows.sampled(), 1, false);
  network.refresh();
  const std::vector<float> x = direction(network);
  CHECK(x == direction(empirical));
  const double expected = product(layer.shape, x, rows.inputs().data, rows.sampled().data);
  CHECK(network.sampled_products().u[0] == doctest::Approx(expected).epsilon(1e-3));
}

TEST_CASE("measure: the inner product of a gradient with a momentum, formed or not") {
  for (const RandomLayer& layer : measured_layers()) {
    INFO(layer.name());
    const StepRows rows(layer, 11);
    Layer network = measured(layer.shape);
    rows.record_sampled(network);
    const FisherBlock shape = shape_block(layer.shape);
    const std::vector<float> momentum = random_numbers<float>(layer.size(), 7);
    const WeightView<const float> m = shape.view(std::span<const float>(momentum));
    // of 64 samples and more the first half stands for all
    const std::size_t seen = layer.input_rows >= 64 ? layer.input_rows / 2 : layer.input_rows;
    double expected = 0;
    for (std::size_t b = 0; b < seen; ++b)
      expected += product(layer.shape, momentum, rows.inputs().data + (b * layer.shape.in_features),
                          rows.loss().data + (b * layer.shape.out_features)) /
                  static_cast<double>(seen);
    CHECK(network.inner_product(std::nullopt, m) == doctest::Approx(expected).epsilon(1e-4).scale(norm(momentum)));
    const WeightView<const float> v = shape.view(std::span<const float>(layer.v));
    CHECK(network.inner_product(v, m) == doctest::Approx(dot(widened(layer.v), widened(momentum))).epsilon(1e-5));
  }
}

TEST_CASE("measure: a bound of the momentum holds, and what follows from the momentum follows from that") {
  for (const RandomLayer& layer : measured_layers()) {
    INFO(layer.name());
    const StepRows rows(layer, 13);
    const FisherBlock shape = shape_block(layer.shape);
    Layer network = measured(layer.shape);
    rows.record_sampled(network);
    network.refresh();
    (void)network.prepare(std::nullopt, {});
    const double size = norm(written(network));
    for (const double share : {0.25, 4.0}) {
      std::vector<float> momentum(layer.size(), 0.0F);
      std::vector<float> weights(layer.size(), 1.0F);
      const double factor = network.write({.step_size = 1,
                                           .rate = 0.5,
                                           .largest = share * size,
                                           .momentum = 0.5,
                                           .kept = shape.view(std::span(momentum)),
                                           .weights = shape.view(std::span(weights))});
      CHECK(factor == doctest::Approx(std::min(1.0, share)).epsilon(1e-4));
      CHECK(norm(momentum) == doctest::Approx(std::min(1.0, share) * size).epsilon(1e-4));
      for (std::size_t i = 0; i < weights.size(); ++i)
        CHECK(weights[i] == doctest::Approx(1 - (0.5 * static_cast<double>(momentum[i]))).epsilon(1e-5));
    }
  }
}
