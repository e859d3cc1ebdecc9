// Kinds of layers against float64 results of independent code.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "core/layer/layer.h"
#include "support/golden_kinds.h"
#include "support/steps.h"

using namespace cgfac;
using namespace cgfac::test;

namespace {

// Sums of a few hundred float32 products.
constexpr double factor_tolerance = 2e-6;
// Those of the factors and of the gradient, times a condition number of some ten.
constexpr double direction_tolerance = 1e-5;

void for_each_golden(auto&& check) {
  for (const std::string& name : golden_kinds) {
    const GoldenKindCase golden(name);
    for (const WeightSharing sharing : {WeightSharing::expand, WeightSharing::reduce}) {
      if (sharing == WeightSharing::reduce && !golden.shares()) continue;
      CAPTURE(name);
      CAPTURE(names_of<WeightSharing>[static_cast<std::size_t>(sharing)]);
      check(golden, sharing);
    }
  }
}

Layer layer_of(const GoldenKindCase& golden, WeightSharing sharing) {
  return {golden.shape(sharing),
          {.damping = {.value = golden.manifest().relative_damping, .relative = true},
           .damping_mode = DampingMode::factored,
           .method = Method::exact}};
}

}  // namespace

TEST_CASE("golden kinds: factors") {
  std::size_t compared = 0;
  for_each_golden([&](const GoldenKindCase& golden, WeightSharing sharing) {
    const std::string how = sharing == WeightSharing::expand ? "expand_" : "reduce_";
    const KindRows rows = golden.rows(sharing);
    RecordedRows recorded(rows.shape);
    rows.record(recorded);
    const FisherBlock& block = recorded.draw(0);
    if (golden.has(how + "A"))
      CHECK(relative_error(factor_matrix(block.input).numbers, golden.numbers<double>(how + "A")) <= factor_tolerance);
    if (golden.has(how + "G")) {
      CHECK(relative_error(factor_matrix(block.output).numbers, golden.numbers<double>(how + "G")) <= factor_tolerance);
      ++compared;
    }
    if (golden.has("counts")) {
      std::vector<double> counts;
      for (const float root : block.input.rows.elements())
        counts.push_back(static_cast<double>(root) * static_cast<double>(root));
      CHECK(relative_error(counts, golden.numbers<double>("counts")) <= factor_tolerance);
      CHECK(block.input.scale == 1.0 / static_cast<double>(golden.manifest().batch));
    }
    if (golden.has("F")) {
      Layer layer = layer_of(golden, sharing);
      rows.record(layer);
      layer.refresh();
      CHECK(relative_error(layer.state().input.average, golden.numbers<double>("F")) <= factor_tolerance);
    }
  });
  CHECK(compared == 17);  // eight convolutions, each shared in both ways, and a table
}

TEST_CASE("golden kinds: gradients") {
  for_each_golden([](const GoldenKindCase& golden, WeightSharing sharing) {
    const KindRows rows = golden.rows(sharing);
    RecordedRows recorded(rows.shape);
    rows.record(recorded);
    std::vector<float> v(rows.shape.size());
    recorded.form_gradient(shape_block(rows.shape).view(std::span(v)));
    CHECK(relative_error(v, golden.gradient()) <= factor_tolerance);
  });
}

TEST_CASE("golden kinds: directions of the rows' own gradient, and of one that is given") {
  for_each_golden([](const GoldenKindCase& golden, WeightSharing sharing) {
    const KindRows rows = golden.rows(sharing);
    const std::vector<double> gradient = golden.gradient();
    const std::vector<float> v(gradient.begin(), gradient.end());
    Layer layer = layer_of(golden, sharing);
    rows.record(layer);
    layer.refresh();
    CHECK(relative_error(direction(layer), golden.direction(sharing)) <= direction_tolerance);
    const LayerStep step = layer.prepare(shape_block(rows.shape).view(std::span<const float>(v)), {});
    CHECK(relative_error(written(layer), golden.direction(sharing)) <= direction_tolerance);
    CHECK(step.vx == doctest::Approx(test::dot(gradient, golden.direction(sharing))).epsilon(1e-5));
  });
}

TEST_CASE("golden kinds: rows without gradients of the loss make the factors for a gradient that is given") {
  for_each_golden([](const GoldenKindCase& golden, WeightSharing sharing) {
    const KindRows rows = golden.rows(sharing);
    const std::vector<double> gradient = golden.gradient();
    const std::vector<float> v(gradient.begin(), gradient.end());
    Layer layer = layer_of(golden, sharing);
    layer.record(rows.inputs_view(), {}, rows.samples, 1);
    layer.record_fisher(rows.fisher_view(), 1, true, rows.sampled);
    layer.refresh();
    (void)layer.prepare(shape_block(rows.shape).view(std::span<const float>(v)), {});
    CHECK(relative_error(written(layer), golden.direction(sharing)) <= direction_tolerance);
  });
}
