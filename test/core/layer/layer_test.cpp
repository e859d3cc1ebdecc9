// A single layer: recorded batches, warm starts, schedules, and what its options allow.
#include "core/layer/layer.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <memory>
#include <string>

#include "core/base/error.h"
#include "support/steps.h"

using namespace cgfac;
using namespace cgfac::test;

namespace {

const RandomLayer test_layer{
    .shape = {.in_features = 30, .out_features = 20, .bias = true}, .input_rows = 8, .output_rows = 8};

LayerSummary solve(Layer& layer, const std::shared_ptr<const RecordedRows>& batch, const RandomLayer& data,
                   std::vector<float>& x) {
  x.resize(data.size());
  return layer.precondition(batch, batch->block().view(std::span<const float>(data.v)),
                            batch->block().view(std::span<float>(x)), nullptr, nullptr);
}

CgFacSummary step(Layer& layer, const RandomLayer& data, std::vector<float>& x) {
  return *solve(layer, layer.batch(), data, x).cg_fac;
}

LayerOptions options(WarmStart warm_start) {
  return {
      .damping = {.value = 0.05}, .cg_fac = {.cg = {.max_iterations = 3, .tolerance = 0}}, .warm_start = warm_start};
}

}  // namespace

TEST_CASE("layer: asks for a batch first") {
  Layer layer(test_layer.shape, options(WarmStart::none));
  CHECK_THROWS_WITH_AS((void)layer.batch(), "Expected a batch from record() for precondition but received none", Error);
}

TEST_CASE("layer: the previous solution is the next start") {
  Layer warm(test_layer.shape, options(WarmStart::previous));
  Layer cold(test_layer.shape, options(WarmStart::none));
  warm.record_batch(test_layer.batch());
  cold.record_batch(test_layer.batch());
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
  warm.record_batch(test_layer.batch());
  CHECK(step(warm, test_layer, x).cg.initial_residual == 1);
  CHECK(x == y);
}

TEST_CASE("layer: a scaled start undoes a change of scale") {
  Layer layer(test_layer.shape, options(WarmStart::scaled));
  layer.record_batch(test_layer.batch());
  std::vector<float> x;
  const double residual = step(layer, test_layer, x).cg.residual;
  RandomLayer opposite = test_layer;
  for (float& v : opposite.v) v *= -3;
  // an iterate x of conjugate gradients has ⟨x, (F + λI) x⟩ = ⟨v, x⟩, so that c = −3: the solve goes on where it ended
  CHECK(step(layer, opposite, x).cg.initial_residual == doctest::Approx(residual).epsilon(1e-3));
}

TEST_CASE("layer: a refused batch leaves the recorded one, and a batch outlives the next record") {
  Layer layer(test_layer.shape, options(WarmStart::none));
  layer.record_batch(test_layer.batch());
  std::vector<float> before;
  (void)step(layer, test_layer, before);
  const auto held = layer.batch();

  RandomLayer spoiled = test_layer;
  spoiled.inputs[7] = std::numeric_limits<float>::quiet_NaN();
  CHECK_THROWS_WITH_AS(layer.record_batch(spoiled.batch()),
                       "Expected finite numbers for inputs but received NaN at index 7", Error);
  std::vector<float> after;
  (void)step(layer, test_layer, after);
  CHECK(before == after);

  RandomLayer other = test_layer;
  for (float& a : other.inputs) a = -a;
  layer.record_batch(other.batch());
  (void)solve(layer, held, test_layer, after);
  CHECK(before == after);
  layer.clear();
  (void)solve(layer, held, test_layer, after);
  CHECK(before == after);
}

TEST_CASE("layer: a batch that was handed out stays as it was when rows are recorded behind it") {
  Layer layer(test_layer.shape, options(WarmStart::none));
  layer.record_batch(test_layer.batch());
  const auto held = layer.batch();
  std::vector<float> before;
  (void)solve(layer, held, test_layer, before);
  const StepRows more(test_layer, 5);
  layer.record(more.inputs(), more.loss(), 8, 1);
  layer.record_fisher(more.sampled(), 1);
  CHECK(held->input_rows() == 8);
  CHECK(layer.batch()->input_rows() == 16);
  std::vector<float> after;
  (void)solve(layer, held, test_layer, after);
  CHECK(before == after);
}

TEST_CASE("layer: the batch is a copy") {
  RandomLayer data = test_layer;
  Layer layer(test_layer.shape, options(WarmStart::none));
  layer.record_batch(data.batch());
  std::vector<float> before;
  (void)step(layer, data, before);
  std::ranges::fill(data.inputs, 0.0F);
  std::vector<float> after;
  (void)step(layer, data, after);
  CHECK(before == after);
}

TEST_CASE("layer: a warm start outlives a cancelled solve, and not one that ended badly") {
  Layer layer(test_layer.shape, options(WarmStart::previous));
  layer.record_batch(test_layer.batch());
  std::vector<float> x;
  (void)step(layer, test_layer, x);
  const std::vector<float> previous = layer.state().previous;
  CHECK(previous == x);
  const CancelFlag cancel = true;
  const FisherBlock block = test_layer.block();
  std::vector<float> y(x.size());
  const auto v = block.view(std::span<const float>(test_layer.v));
  CHECK_THROWS_AS((void)layer.precondition(layer.batch(), v, block.view(std::span(y)), &cancel, nullptr), Cancelled);
  CHECK(layer.state().previous == previous);
  CHECK(y == std::vector<float>(x.size()));
  // no warm start is used or left by a borrowed batch
  const StepRows rows(test_layer, 5);
  const LayerSummary borrowed =
      layer.natural_gradient(rows.batch.batch(), rows.loss(), {.out = block.view(std::span(y))}, nullptr, nullptr);
  CHECK(borrowed.cg_fac->cg.initial_residual == 1);
  CHECK(layer.state().previous == previous);
}

TEST_CASE("layer: averages take in every so many batches, each of them once") {
  LayerOptions averaged{.damping = {.value = 0.1}, .method = Method::exact};
  averaged.factor = {.history = FactorHistory::dense, .decay = 0.8};
  averaged.factor_update_steps = 2;
  Layer layer(test_layer.shape, averaged);
  DenseAverage a{.decay = 0.8};
  std::vector<float> x;
  for (std::uint64_t i = 0; i < 5; ++i) {
    const StepRows rows(test_layer, 10 * i);
    layer.record_batch(rows.batch.batch());
    for (int again = 0; again < 2; ++again) (void)solve(layer, layer.batch(), test_layer, x);
    if (i % 2 == 0) a.add(factor_matrix(rows.batch.block().input));
    const LayerState state = layer.state();
    CHECK(state.batches == static_cast<long>(i + 1));
    CHECK(state.input.refreshes == (i / 2) + 1);
    CHECK(relative_error(state.input.average, a.mean().numbers) <= 1e-6);
  }
  layer.roll_back();  // of a step, which this was none
  CHECK(layer.state().batches == 5);
  layer.reset();
  CHECK(same_bits(layer.state(), Layer(test_layer.shape, averaged).state()));
}

TEST_CASE("layer: a gradient that is not finite is refused before its batch enters the averages") {
  LayerOptions averaged{.damping = {.value = 0.1}, .method = Method::exact};
  averaged.factor.history = FactorHistory::dense;
  Layer layer(test_layer.shape, averaged);
  layer.record_batch(test_layer.batch());
  RandomLayer spoiled = test_layer;
  spoiled.v[2] = std::numeric_limits<float>::infinity();
  std::vector<float> x;
  CHECK_THROWS_WITH_AS((void)solve(layer, layer.batch(), spoiled, x),
                       "Expected finite numbers for v.kernel but received Infinity at index 2", Error);
  CHECK_FALSE(layer.started());
  StepRows rows(test_layer, 1);
  rows.loss_grads[1] = std::numeric_limits<float>::quiet_NaN();
  const WeightView<float> out = test_layer.block().view(std::span(x));
  CHECK_THROWS_WITH_AS((void)layer.natural_gradient(rows.batch.batch(), rows.loss(), {.out = out}, nullptr, nullptr),
                       "Expected finite numbers for lossGrads but received NaN at index 1", Error);
  CHECK_FALSE(layer.started());
}

TEST_CASE("layer: a combination that no solver has is refused by what would do instead") {
  const auto refused = [](const LayerOptions& combination) -> std::string {
    try {
      const Layer layer(test_layer.shape, combination);
    } catch (const Error& error) {
      CHECK(error.code() == ErrorCode::invalid_value);
      return error.what();
    }
    return "";
  };
  const FactorOptions dense{.history = FactorHistory::dense};
  CHECK(refused({.damping_mode = DampingMode::factored, .method = Method::cg}) ==
        "Expected 'exact', 'kfac' or 'auto' with dampingMode 'factored' for method but received 'cg'");
  CHECK(refused({.method = Method::kfac}) ==
        "Expected 'dense' with method 'kfac' for factorHistory but received another");
  CHECK(refused({.method = Method::kfac, .factor = {.history = FactorHistory::panel}}) != "");
  CHECK(refused({.damping_mode = DampingMode::factored, .block = Block::sample, .method = Method::exact}) ==
        "Expected 'tikhonov' with block 'sample' for dampingMode but received 'factored'");
  CHECK(refused({.block = Block::sample, .method = Method::cg}) ==
        "Expected 'exact' or 'auto' with block 'sample' for method but received another");
  CHECK(refused({.block = Block::sample, .method = Method::kfac, .factor = dense}) != "");
  CHECK(refused({.block = Block::sample, .method = Method::exact, .factor = dense}) ==
        "Expected 'none' with block 'sample' for factorHistory but received an average");
  CHECK(refused({.method = Method::kfac, .factor = dense}).empty());
  CHECK(refused({.damping_mode = DampingMode::factored, .method = Method::kfac, .factor = dense}).empty());
  CHECK(refused({.block = Block::sample, .method = Method::automatic}).empty());
  CHECK(refused({.method = Method::cg, .factor = dense}).empty());
}

TEST_CASE("layer: states of other layers and numbers that are not finite are refused, and change nothing") {
  for (const Method method : {Method::cg, Method::kfac}) {
    CAPTURE(static_cast<int>(method));
    LayerOptions averaged = options(WarmStart::previous);
    averaged.method = method;
    averaged.factor.history = FactorHistory::dense;
    Layer layer(test_layer.shape, averaged);
    layer.record_batch(test_layer.batch());
    std::vector<float> x;
    (void)solve(layer, layer.batch(), test_layer, x);
    const LayerState state = layer.state();
    CHECK(state.previous.empty() == (method == Method::kfac));
    const auto refused = [&](ErrorCode code, const std::function<void(LayerState&)>& spoil) {
      LayerState spoiled = state;
      spoil(spoiled);
      try {
        layer.restore(spoiled);
        FAIL("restored");
      } catch (const Error& error) {
        CHECK(error.code() == code);
      }
      CHECK(same_bits(layer.state(), state));
    };
    const float nan = std::numeric_limits<float>::quiet_NaN();
    refused(ErrorCode::shape_mismatch, [](LayerState& s) { s.input.dimension = 5; });
    refused(ErrorCode::shape_mismatch, [](LayerState& s) { s.output.average.pop_back(); });
    refused(ErrorCode::shape_mismatch, [](LayerState& s) { s.previous = {1}; });
    refused(ErrorCode::not_finite, [&](LayerState& s) { s.previous.assign(620, nan); });
    refused(ErrorCode::not_finite, [&](LayerState& s) { s.output.average[3] = nan; });
    refused(ErrorCode::shape_mismatch, [](LayerState& s) { s.eigen.input_vectors.push_back(1); });
    if (method != Method::kfac) continue;
    refused(ErrorCode::shape_mismatch, [](LayerState& s) { s.eigen.output_values.pop_back(); });
    refused(ErrorCode::not_finite, [&](LayerState& s) { s.eigen.output_values[0] = nan; });
  }
}

TEST_CASE("layer: memory is told by what it is for") {
  LayerOptions averaged = options(WarmStart::previous);
  averaged.factor.history = FactorHistory::dense;
  Layer layer(test_layer.shape, averaged);
  CHECK(layer.memory().recorded + layer.memory().factors + layer.memory().previous + layer.memory().workspace == 0);
  layer.record_batch(test_layer.batch());
  CHECK(layer.memory().recorded == (8 * 30 + 8 * 20) * sizeof(float));
  std::vector<float> x;
  (void)step(layer, test_layer, x);
  const LayerMemory memory = layer.memory();
  CHECK(memory.previous == test_layer.size() * sizeof(float));
  CHECK(memory.factors >= (31 * 31 + 20 * 20) * sizeof(float));
  CHECK(memory.workspace > 0);
}
