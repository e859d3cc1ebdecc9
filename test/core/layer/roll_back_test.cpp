// A step that is not taken has not been, whatever the method and the history; a restored layer goes on as it was.
#include <doctest/doctest.h>

#include <limits>
#include <utility>

#include "core/base/error.h"
#include "core/layer/layer.h"
#include "core/threads/thread_pool.h"
#include "support/for_each_variant.h"
#include "support/steps.h"

using namespace cgfac;
using namespace cgfac::test;

namespace {

// A step up to the directions of new rows.
std::vector<float> begin_step(Layer& layer, const RandomLayer& like, std::uint64_t seed) {
  StepRows(like, seed).record(layer);
  layer.refresh();
  return direction(layer);
}

std::vector<float> take_step(Layer& layer, const RandomLayer& like, std::uint64_t seed) {
  std::vector<float> x = begin_step(layer, like, seed);
  layer.settle();
  return x;
}

const RandomLayer small_layer{
    .shape = {.in_features = 40, .out_features = 9, .bias = true}, .input_rows = 20, .output_rows = 20};
const FactorOptions small_factor{.decay = 0.9, .rank = 6, .panel_rows = 5, .window = 30, .dense_dimension = 12};

}  // namespace

TEST_CASE("roll-back: a step that is taken back has not been") {
  for_each_variant(small_factor, [](const LayerOptions& options) {
    Layer network(small_layer.shape, options);
    Layer undisturbed(small_layer.shape, options);
    std::vector<float> x;
    for (const std::uint64_t seed : {10U, 20U}) {
      x = take_step(network, small_layer, seed);
      CHECK(x == take_step(undisturbed, small_layer, seed));
    }
    const LayerState before = network.state();
    CHECK(same_bits(before, undisturbed.state()));
    CHECK(begin_step(network, small_layer, 30) != x);
    CHECK_FALSE(same_bits(network.state(), before));
    network.roll_back();
    network.roll_back();  // once is enough
    CHECK(same_bits(network.state(), before));
    CHECK(take_step(network, small_layer, 40) == take_step(undisturbed, small_layer, 40));
    CHECK(same_bits(network.state(), undisturbed.state()));
    network.roll_back();  // what was settled stays
    CHECK(same_bits(network.state(), undisturbed.state()));
    CHECK(take_step(network, small_layer, 50) == take_step(undisturbed, small_layer, 50));
  });
}

TEST_CASE("roll-back: of the first refresh nothing is left") {
  for_each_variant(small_factor, [](const LayerOptions& options) {
    Layer fresh(small_layer.shape, options);
    (void)begin_step(fresh, small_layer, 1);
    fresh.roll_back();
    CHECK_FALSE(fresh.started());
    CHECK(same_bits(fresh.state(), Layer(small_layer.shape, options).state()));
    CHECK_THROWS_WITH_AS((void)fresh.prepare(std::nullopt, {}), "Expected factors for the step but received none",
                         Error);
    CHECK_THROWS_WITH_AS((void)written(fresh), "Expected a direction from prepare() for the step but received none",
                         Error);
    CHECK(take_step(fresh, small_layer, 2).size() == small_layer.size());
  });
}

TEST_CASE("roll-back: a step without a refresh takes back its warm start alone") {
  for_each_variant(small_factor, [](const LayerOptions& options) {
    Layer network(small_layer.shape, options);
    (void)take_step(network, small_layer, 10);
    const LayerState before = network.state();
    StepRows(small_layer, 20).record(network);
    const std::vector<float> x = direction(network);
    network.roll_back();
    CHECK(same_bits(network.state(), before));
    const LayerStep again = network.prepare(std::nullopt, {});
    CHECK(written(network) == x);
    network.settle();
    CHECK(network.state().previous == (again.summary.cg_fac ? x : std::vector<float>()));
  });
}

TEST_CASE("roll-back: the counter of batches goes back, so that later ones are decomposed when they would have been") {
  LayerOptions options{.damping = {.value = 0.5, .relative = true}, .method = Method::kfac};
  options.factor = {.history = FactorHistory::dense, .decay = 0.9};
  options.factor_update_steps = 2;
  options.inverse_update_steps = 3;
  Layer network(small_layer.shape, options);
  Layer undisturbed(small_layer.shape, options);
  std::vector<float> vectors;
  long refreshes = 0;
  for (std::uint64_t step = 0; step < 9; ++step) {
    CAPTURE(step);
    const LayerState before = network.state();
    CHECK(before.batches == static_cast<long>(step));
    (void)begin_step(network, small_layer, 1000 + step);
    network.roll_back();
    CHECK(same_bits(network.state(), before));
    CHECK(take_step(network, small_layer, step) == take_step(undisturbed, small_layer, step));
    const LayerState after = network.state();
    CHECK(same_bits(after, undisturbed.state()));
    CHECK((after.eigen.input_vectors != vectors) == (step % 3 == 0));
    vectors = after.eigen.input_vectors;
    refreshes += step % 2 == 0 ? 1 : 0;
    CHECK(after.input.refreshes == static_cast<std::size_t>(refreshes));
  }
}

namespace {

// One iteration from a start that is far on the wrong side of the solution ends there as well: the step along the
// residual takes back of it what the largest eigenvalues hold, those of a warm start lie elsewhere.
struct Uphill {
  RandomLayer layer{
      .shape = {.in_features = 12, .out_features = 10, .bias = true}, .input_rows = 30, .output_rows = 30};
  LayerOptions options{.damping = {.value = 0.01, .relative = true}};
  WeightView<const float> v = layer.block().view(std::span<const float>(layer.v));

  Uphill() { options.cg_fac.cg = {.max_iterations = 1, .tolerance = 0}; }
  // A layer with factors; its warm start is the solution times −1000.
  [[nodiscard]] LayerState state() const {
    LayerOptions exact = options;
    exact.method = Method::exact;
    Layer solved(layer.shape, exact);
    StepRows(layer, 1).record(solved);
    solved.refresh();
    (void)solved.prepare(v, {});
    LayerState state = solved.state();
    state.previous = written(solved);
    for (float& x : state.previous) x *= -1000;
    return state;
  }
};

}  // namespace

TEST_CASE("roll-back: a warm start that leads uphill is begun again at zero, and comes back with the step") {
  const Uphill uphill;
  Layer cold(uphill.layer.shape, uphill.options);
  Layer warm(uphill.layer.shape, uphill.options);
  LayerState state = uphill.state();
  warm.restore(state);
  const std::vector<float> previous = std::exchange(state.previous, {});
  cold.restore(state);
  const LayerStep expected = cold.prepare(uphill.v, {});
  CHECK_FALSE(expected.restarted);
  CHECK(expected.vx > 0);
  const LayerStep step = warm.prepare(uphill.v, {});
  CHECK(step.restarted);
  CHECK(step.vx == expected.vx);
  CHECK(step.summary.cg_fac->cg.initial_residual == 1);
  const std::vector<float> x = written(warm);
  CHECK(x == written(cold));
  warm.roll_back();
  CHECK(warm.state().previous == previous);
  CHECK(warm.prepare(uphill.v, {}).restarted);
  warm.settle();
  CHECK(warm.state().previous == x);

  LayerOptions scaled = uphill.options;  // an optimal scale turns it round
  scaled.warm_start = WarmStart::scaled;
  Layer turned(uphill.layer.shape, scaled);
  turned.restore(uphill.state());
  const LayerStep other = turned.prepare(uphill.v, {});
  CHECK_FALSE(other.restarted);
  CHECK(other.vx > 0);
}

TEST_CASE("roll-back: a cancelled solve leaves the warm start to the roll-back, and nothing to write") {
  const Uphill uphill;
  Layer layer(uphill.layer.shape, uphill.options);
  const LayerState state = uphill.state();
  layer.restore(state);
  const CancelFlag cancel = true;
  CHECK_THROWS_AS((void)layer.prepare(uphill.v, {.cancel = &cancel}), Cancelled);
  CHECK_THROWS_AS((void)written(layer), Error);
  layer.roll_back();
  CHECK(same_bits(layer.state(), state));
}

TEST_CASE("roll-back: a step that is refused leaves nothing to write") {
  for_each_variant(small_factor, [](const LayerOptions& options) {
    Layer network(small_layer.shape, options);
    (void)take_step(network, small_layer, 10);
    const LayerState before = network.state();
    std::vector<float> bad = small_layer.v;
    bad[3] = std::numeric_limits<float>::quiet_NaN();
    CHECK_THROWS_AS((void)network.prepare(small_layer.block().view(std::span<const float>(bad)), {}), Error);
    CHECK_THROWS_WITH_AS((void)written(network), "Expected a direction from prepare() for the step but received none",
                         Error);
    network.roll_back();
    CHECK(same_bits(network.state(), before));
  });
}

TEST_CASE("roll-back: a restored layer goes on with the same bits, with any number of pool threads") {
  const RandomLayer layer{
      .shape = {.in_features = 250, .out_features = 230, .bias = true}, .input_rows = 70, .output_rows = 35};
  for_each_variant({.rank = 20, .panel_rows = 16, .window = 100}, [&](const LayerOptions& options) {
    Layer first(layer.shape, options);
    Layer second(layer.shape, options);
    const auto step = [&](Layer& network, std::uint64_t seed) {
      StepRows rows(layer, seed);
      rows.batch.output_grads = layer.output_grads;
      rows.record_sampled(network);
      if (seed % 2 == 0) network.refresh();
      std::vector<float> x = direction(network);
      network.settle();
      return x;
    };
    for (std::uint64_t seed = 0; seed < 3; ++seed) (void)step(first, seed);
    second.restore(first.state());
    const std::size_t threads = ThreadPool::shared().size();
    for (std::uint64_t seed = 3; seed < 6; ++seed) {
      const std::vector<float> x = step(first, seed);
      ThreadPool::shared().resize(1);
      const std::vector<float> y = step(second, seed);
      ThreadPool::shared().resize(threads);
      CHECK(x == y);
    }
    Layer other({.in_features = 10, .out_features = 10}, options);
    CHECK_THROWS_AS(other.restore(first.state()), Error);
  });
}
