#include <doctest/doctest.h>

#include "core/layer/layer.h"
#include "support/allocations.h"
#include "support/layers.h"

using namespace cgfac;
using namespace cgfac::test;

TEST_CASE("allocation: a second solve of the same shape allocates nothing") {
  for (const RandomLayer& layer : awkward_layers()) {
    CAPTURE(layer.name());
    const FisherBlock block = layer.block();
    const auto v = block.view(std::span<const float>(layer.v));
    const auto start = random_numbers<float>(layer.size(), 9);
    std::vector<float> x(layer.size());
    for (const Space space : {Space::gram, Space::weight}) {
      for (const bool warm : {false, true}) {
        CgFacWorkspace workspace;
        std::optional<WeightView<const float>> x0;
        if (warm) x0 = block.view(std::span<const float>(start));
        const auto solve_once = [&] {
          (void)cg_fac(block, {.value = 0.1}, v, x0, block.view(std::span<float>(x)),
                       {.cg = {.max_iterations = 5, .tolerance = 0}, .space = space}, workspace, nullptr, nullptr);
        };
        const long before = allocations();
        solve_once();
        CHECK(allocations() > before);  // the count counts
        CHECK(workspace.bytes() > 0);
        const long second = allocations();
        solve_once();
        CHECK(allocations() == second);
      }
    }
  }
}

TEST_CASE("allocation: a layer's second step on the same batch allocates nothing") {
  const RandomLayer data{
      .shape = {.in_features = 30, .out_features = 20, .bias = true}, .input_rows = 8, .output_rows = 8};
  Layer layer(data.shape, {.damping = {.value = 0.1}});
  layer.record_batch(data.batch());
  const auto batch = layer.batch();
  std::vector<float> x(data.size());
  const auto step = [&] {
    (void)layer.precondition(batch, batch->block().view(std::span<const float>(data.v)),
                             batch->block().view(std::span<float>(x)), nullptr, nullptr);
  };
  step();
  step();  // the first with a start
  const long before = allocations();
  step();
  CHECK(allocations() == before);
}
