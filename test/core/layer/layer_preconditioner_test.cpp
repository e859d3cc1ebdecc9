#include "core/layer/layer_preconditioner.h"

#include <doctest/doctest.h>

#include <limits>

#include "core/base/error.h"
#include "support/layers.h"

using namespace cgfac;
using namespace cgfac::test;

namespace {

const RandomLayer test_layer{
    .shape = {.in_features = 30, .out_features = 20, .bias = true}, .input_rows = 8, .output_rows = 8};

CgFacSummary step(LayerPreconditioner& layer, const RandomLayer& data, std::vector<float>& x) {
  const auto batch = layer.batch();
  x.resize(data.size());
  return *layer
              .precondition(batch, batch->block().view(std::span<const float>(data.v)),
                            batch->block().view(std::span<float>(x)), nullptr, nullptr)
              .cg_fac;
}

LayerOptions options(WarmStart warm_start) {
  return {
      .damping = {.value = 0.05}, .cg_fac = {.cg = {.max_iterations = 3, .tolerance = 0}}, .warm_start = warm_start};
}

}  // namespace

TEST_CASE("layer preconditioner: asks for a batch first") {
  LayerPreconditioner layer(test_layer.shape, options(WarmStart::none));
  CHECK_THROWS_WITH_AS((void)layer.batch(), "Expected a batch from record() for precondition but received none", Error);
}

TEST_CASE("layer preconditioner: the previous solution is the next start") {
  LayerPreconditioner warm(test_layer.shape, options(WarmStart::previous));
  LayerPreconditioner cold(test_layer.shape, options(WarmStart::none));
  warm.record(test_layer.batch());
  cold.record(test_layer.batch());
  std::vector<float> x;
  const CgFacSummary first = step(warm, test_layer, x);
  CHECK(first.cg.initial_residual == 1);
  const CgFacSummary second = step(warm, test_layer, x);
  CHECK(second.cg.initial_residual == doctest::Approx(first.cg.residual).epsilon(1e-3));

  std::vector<float> y;
  (void)step(cold, test_layer, x);
  const CgFacSummary again = step(cold, test_layer, y);
  CHECK(again.cg.initial_residual == 1);
  CHECK(x == y);

  warm.reset();
  warm.record(test_layer.batch());
  CHECK(step(warm, test_layer, x).cg.initial_residual == 1);
  CHECK(x == y);
}

TEST_CASE("layer preconditioner: a scaled start undoes a change of scale") {
  LayerPreconditioner layer(test_layer.shape, options(WarmStart::scaled));
  layer.record(test_layer.batch());
  std::vector<float> x;
  const double residual = step(layer, test_layer, x).cg.residual;
  RandomLayer opposite = test_layer;
  for (float& v : opposite.v) v *= -3;
  // an iterate x of conjugate gradients has ⟨x, (F + λI) x⟩ = ⟨v, x⟩, so that c = −3: the solve goes on where it ended
  CHECK(step(layer, opposite, x).cg.initial_residual == doctest::Approx(residual).epsilon(1e-3));
}

TEST_CASE("layer preconditioner: a refused batch leaves the recorded one, and a batch outlives the next record") {
  LayerPreconditioner layer(test_layer.shape, options(WarmStart::none));
  layer.record(test_layer.batch());
  std::vector<float> before;
  (void)step(layer, test_layer, before);
  const auto held = layer.batch();

  RandomLayer spoiled = test_layer;
  spoiled.inputs[7] = std::numeric_limits<float>::quiet_NaN();
  CHECK_THROWS_WITH_AS(layer.record(spoiled.batch()), "Expected finite numbers for inputs but received NaN at index 7",
                       Error);
  std::vector<float> after;
  (void)step(layer, test_layer, after);
  CHECK(before == after);

  RandomLayer other = test_layer;
  for (float& a : other.inputs) a = -a;
  layer.record(other.batch());
  (void)layer.precondition(held, held->block().view(std::span<const float>(test_layer.v)),
                           held->block().view(std::span<float>(after)), nullptr, nullptr);
  CHECK(before == after);
}

TEST_CASE("layer preconditioner: the batch is a copy") {
  RandomLayer data = test_layer;
  LayerPreconditioner layer(test_layer.shape, options(WarmStart::none));
  layer.record(data.batch());
  std::vector<float> before;
  (void)step(layer, data, before);
  std::ranges::fill(data.inputs, 0.0F);
  std::vector<float> after;
  (void)step(layer, data, after);
  CHECK(before == after);
}
