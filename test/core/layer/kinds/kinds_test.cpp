// What all kinds of layers have in common, and what is special about each.
#include "core/layer/kinds/kinds.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <set>
#include <vector>

#include "core/base/error.h"
#include "core/layer/layer.h"
#include "core/threads/thread_pool.h"
#include "support/kinds.h"
#include "support/steps.h"

using namespace cgfac;
using namespace cgfac::test;

namespace {

void for_each_kind(auto&& check) {
  for (const KindCase& kind : kind_cases()) {
    CAPTURE(kind.name);
    check(kind);
  }
}

// Every history that the factors of a kind can have, of small ranks.
void for_each_history(auto&& check) {
  for (const FactorHistory history : histories) {
    CAPTURE(static_cast<int>(history));
    LayerOptions options{
        .damping = {.value = 0.5, .relative = true}, .damping_mode = DampingMode::factored, .method = Method::exact};
    options.factor = {.history = history, .decay = 0.9, .rank = 6, .panel_rows = 5, .dense_dimension = 4};
    check(options);
  }
}

std::vector<float> begin_step(Layer& layer, const KindCase& kind, std::uint64_t seed) {
  kind.rows(seed).record(layer);
  layer.refresh();
  return direction(layer);
}

std::vector<float> take_step(Layer& layer, const KindCase& kind, std::uint64_t seed) {
  std::vector<float> x = begin_step(layer, kind, seed);
  layer.settle();
  return x;
}

// Σ over positions of g [a 1]ᵀ of one recorded row
std::vector<float> gradient_of(const LayerShape& shape, MatrixView<const float> inputs,
                               MatrixView<const float> output_grads, std::size_t first, std::size_t count) {
  std::vector<float> v(shape.size(), 5.0F);
  kind_of(shape).form_gradient(shape, inputs.rows_from(first, count), output_grads.rows_from(first, count), 1,
                               shape_block(shape).view(std::span(v)));
  return v;
}

double trace_of_side(const Side& side) {
  return trace_of(factor_matrix(side));
}

}  // namespace

TEST_CASE("kinds: the product of a row is the inner product with the gradient of that row") {
  for_each_kind([](const KindCase& kind) {
    const KindRows rows = kind.rows(1);
    const LayerShape& shape = rows.shape;
    const auto x = random_numbers<float>(shape.size(), 9);
    const auto inputs = rows.inputs_view();
    const auto grads = rows.loss_view();
    std::vector<double> products(inputs.rows, 3.0);
    kind_of(shape).products(shape, shape_block(shape).view(std::span<const float>(x)), inputs, grads, products);
    double sum = 0;
    for (std::size_t row = 0; row < inputs.rows; ++row) {
      const std::vector<float> v = gradient_of(shape, inputs, grads, row, 1);
      CHECK(std::abs(products[row] - test::dot(v, x)) <= 1e-6 * norm(v) * norm(x));
      sum += products[row];
    }
    const std::vector<float> all = gradient_of(shape, inputs, grads, 0, inputs.rows);
    CHECK(std::abs(sum - test::dot(all, x)) <= 2e-6 * norm(all) * norm(x));
  });
}

TEST_CASE("kinds: what a direction does to the sampled outputs is the sum over the rows of each sample") {
  for_each_kind([](const KindCase& kind) {
    for_each_history([&](const LayerOptions& options) {
      const KindRows rows = kind.rows(1);
      Layer layer(rows.shape, options);
      const std::vector<float> x = begin_step(layer, kind, 1);
      const SampledProducts found = layer.sampled_products();
      CHECK(found.samples == kind.sampled);
      CHECK(found.u.size() == kind.samples);
      for (std::size_t b = 0; b < kind.sampled; ++b) {
        const std::vector<float> v =
            gradient_of(rows.shape, rows.inputs_view(), rows.fisher_view(), b * rows.positions, rows.positions);
        CHECK(std::abs(found.u[b] - test::dot(v, x)) <= 2e-6 * norm(v) * norm(x));
      }
      for (std::size_t b = kind.sampled; b < kind.samples; ++b) CHECK(found.u[b] == 0);
    });
  });
}

TEST_CASE("kinds: a step that is taken back has not been") {
  for_each_kind([](const KindCase& kind) {
    for_each_history([&](const LayerOptions& options) {
      Layer network(kind.shape, options);
      Layer undisturbed(kind.shape, options);
      (void)begin_step(network, kind, 70);
      network.roll_back();
      CHECK_FALSE(network.started());
      for (const std::uint64_t seed : {10U, 20U})
        CHECK(take_step(network, kind, seed) == take_step(undisturbed, kind, seed));
      const LayerState before = network.state();
      CHECK(same_bits(before, undisturbed.state()));
      (void)begin_step(network, kind, 30);
      CHECK_FALSE(same_bits(network.state(), before));
      network.roll_back();
      CHECK(same_bits(network.state(), before));
      CHECK(take_step(network, kind, 40) == take_step(undisturbed, kind, 40));
      CHECK(same_bits(network.state(), undisturbed.state()));
    });
  });
}

TEST_CASE("kinds: a restored layer goes on with the same bits, with any number of pool threads") {
  for_each_kind([](const KindCase& kind) {
    for_each_history([&](const LayerOptions& options) {
      Layer first(kind.shape, options);
      Layer second(kind.shape, options);
      for (const std::uint64_t seed : {10U, 20U}) (void)take_step(first, kind, seed);
      second.restore(first.state());
      const std::vector<float> x = take_step(first, kind, 30);
      const std::size_t threads = ThreadPool::shared().size();
      ThreadPool::shared().resize(1);
      const std::vector<float> y = take_step(second, kind, 30);
      ThreadPool::shared().resize(threads);
      CHECK(x == y);
      CHECK(same_bits(first.state(), second.state()));
    });
  });
}

TEST_CASE("kinds: another draw at each refresh, whose traces are those of what was drawn") {
  const KindCase kind{.name = "drawn",
                      .shape = convolution(windows({1, 12, 12}, 2, {1, 3, 3}, {1, 1, 1}, {1, 1, 1}, true), 3)};
  KindRows rows = kind.rows(1);
  rows.shape.max_rows = 20;
  RecordedRows recorded(rows.shape);
  rows.record(recorded);
  recorded.require_finite();
  std::set<double> seen;
  double input = 0;
  double output = 0;
  constexpr std::size_t draws = 200;
  for (std::uint64_t stream = 0; stream < draws; ++stream) {
    const FisherBlock& block = recorded.draw(stream);
    CHECK(block.input.rows.rows == 20);
    CHECK(recorded.traces().input == doctest::Approx(trace_of_side(block.input)).epsilon(1e-6));
    CHECK(recorded.traces().output == doctest::Approx(trace_of_side(block.output)).epsilon(1e-6));
    seen.insert(recorded.traces().input);
    input += trace_of_side(block.input) / draws;
    output += trace_of_side(block.output) / draws;
  }
  CHECK(seen.size() > draws / 2);
  rows.shape.max_rows = 1000;
  RecordedRows all(rows.shape);
  rows.record(all);
  const FisherBlock& block = all.draw(0);
  // the mean of 4,000 rows, whose squares differ by a third of themselves
  CHECK(input == doctest::Approx(trace_of_side(block.input)).epsilon(0.02));
  CHECK(output == doctest::Approx(trace_of_side(block.output)).epsilon(0.02));
}

TEST_CASE("embedding: rows of ids that are absent stay exactly zero, whatever the average knows of them") {
  const KindCase kind{
      .name = "table",
      .shape = {.kind = Kind::embedding, .in_features = 40, .out_features = 3, .layout = KernelLayout::in_out},
      .positions = 4};
  for_each_history([&](const LayerOptions& options) {
    Layer layer(kind.shape, options);
    (void)take_step(layer, kind, 1);
    KindRows rows = kind.rows(2);
    std::ranges::replace_if(rows.inputs, [](float id) { return id != 7 && id != 11; }, 38.0F);
    rows.record(layer);
    layer.refresh();
    const std::vector<float> x = direction(layer);
    for (std::size_t id = 0; id < 40; ++id) {
      const bool present = std::ranges::count(rows.inputs, static_cast<float>(id)) > 0;
      const bool zero = std::ranges::all_of(x.begin() + static_cast<std::ptrdiff_t>(3 * id),
                                            x.begin() + static_cast<std::ptrdiff_t>((3 * id) + 3),
                                            [](float number) { return number == 0; });
      CAPTURE(id);
      CHECK(zero == !present);
    }
  });
}

TEST_CASE("embedding: with mask_zero the id 0 is not counted") {
  for (const bool mask : {false, true}) {
    const LayerShape shape{.kind = Kind::embedding,
                           .in_features = 4,
                           .out_features = 2,
                           .layout = KernelLayout::in_out,
                           .mask_zero = mask};
    Layer layer(shape, {.damping = {.value = 0.5, .relative = true}});
    const std::vector<float> ids{0, 3, 0, 1, 3, 3};
    const auto grads = random_numbers<float>(12, 1);
    layer.record({ids.data(), 6, 1}, {grads.data(), 6, 2}, 2, 1);
    layer.refresh();
    const std::vector<float> counts = layer.state().input.average;
    const std::vector<double> expected{mask ? 0.0 : 1.0, 0.5, 0, 1.5};
    CHECK(relative_error(counts, expected) <= 1e-6);
  }
}

TEST_CASE("scale and shift: gradients that do not belong to the inputs are refused, and change nothing") {
  const KindCase kind{.name = "scale",
                      .shape = {.kind = Kind::scale_shift,
                                .in_features = 1,
                                .out_features = 3,
                                .bias = true,
                                .layout = KernelLayout::in_out},
                      .samples = 4,
                      .sampled = 4,
                      .positions = 2};
  Layer layer(kind.shape, {.damping = {.value = 0.5, .relative = true}});
  (void)take_step(layer, kind, 1);
  const LayerState before = layer.state();
  const auto refused = [&](const std::vector<std::size_t>& rows_of_calls) {
    const KindRows rows = kind.rows(2);
    layer.clear();
    layer.record(rows.inputs_view(), rows.loss_view(), 4, 1);
    for (const std::size_t count : rows_of_calls)
      layer.record_fisher({rows.fisher_grads.data(), count, 3}, 1, true, std::max<std::size_t>(count / 2, 1));
    try {
      layer.refresh();
      FAIL("refreshed");
    } catch (const Error& error) {
      CHECK(error.code() == ErrorCode::shape_mismatch);
      CHECK(std::string(error.what()) ==
            "Expected gradients of the first samples of the recorded inputs for outputGrads but received others");
    }
    layer.roll_back();
    CHECK(same_bits(layer.state(), before));
  };
  refused({4, 4});  // in two calls, of inputs in one
  refused({3});     // no whole number of positions
  const KindRows more{.shape = kind.shape,
                      .samples = 5,
                      .sampled = 5,
                      .positions = 2,
                      .inputs = {},
                      .loss_grads = {},
                      .fisher_grads = std::vector<float>(30, 1.0F)};
  const KindRows rows = kind.rows(2);
  layer.clear();
  layer.record(rows.inputs_view(), rows.loss_view(), 4, 1);
  layer.record_fisher(more.fisher_view(), 1, true, 5);  // of more samples than there are inputs of
  CHECK_THROWS_AS(layer.refresh(), Error);
  CHECK(take_step(layer, kind, 3).size() == kind.shape.size());
}
