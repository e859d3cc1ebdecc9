// What fuzzing found of layers at the ends of the range, and of gradients that cancel.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include "core/base/error.h"
#include "core/layer/layer.h"
#include "support/kinds.h"
#include "support/steps.h"

using namespace cgfac;
using namespace cgfac::test;

namespace {

// One layer, its rows the loss's own, and what its step says.
struct OwnStep {
  LayerShape shape;
  std::vector<float> inputs;
  std::vector<float> loss_grads;
  std::vector<float> fisher_grads;
  std::size_t rows;

  LayerStep prepare(Layer& layer) const {
    layer.clear();
    layer.record({inputs.data(), rows, shape.in_features}, {loss_grads.data(), rows, shape.out_features}, rows, 1);
    layer.record_fisher({fisher_grads.data(), rows, shape.out_features}, 1);
    layer.refresh();
    return layer.prepare(std::nullopt, {});
  }
};

LayerOptions absolute(double lambda) {
  return {.damping = {.value = lambda}, .damping_mode = DampingMode::factored, .method = Method::exact};
}

}  // namespace

TEST_CASE("extremes: the bound of a direction is no less than it where the damping is far above a factor") {
  const OwnStep own{.shape = {.in_features = 1, .out_features = 2},
                    .inputs = {-1.5e-4F},
                    .loss_grads = {-1.5e-4F, 2.9e-4F},
                    .fisher_grads = {7e-12F, 7e-12F},
                    .rows = 1};
  Layer layer(own.shape, absolute(0.01));
  const LayerStep step = own.prepare(layer);
  const std::vector<float> x = written(layer);
  CHECK(step.bound >= 0.99999 * norm(x));
  CHECK(step.vx == doctest::Approx((1.5e-4 * 1.5e-4 * 1.5e-4 * 1.5e-4 + 1.5e-4 * 2.9e-4 * 1.5e-4 * 2.9e-4) / 0.01));
}

TEST_CASE("extremes: the inner product with a gradient whose rows nearly cancel is that of what remains") {
  const OwnStep own{.shape = {.in_features = 2, .out_features = 1},
                    .inputs = {0.5F, 0.25F, 0.5F, 0.25F},
                    .loss_grads = {0.125F, -0.12499988F},
                    .fisher_grads = {0.5F, 0.75F},
                    .rows = 2};
  Layer layer(own.shape, absolute(1));
  const LayerStep step = own.prepare(layer);
  const std::vector<float> x = written(layer);
  const double v = (0.125 - static_cast<double>(0.12499988F)) / 2;
  const double expected = (0.5 * v * static_cast<double>(x[0])) + (0.25 * v * static_cast<double>(x[1]));
  CHECK(step.vx == doctest::Approx(expected).epsilon(1e-4));
}

TEST_CASE(
    "extremes: an absolute damping that float32 does not have beside a factor is an error, no lack of curvature") {
  const OwnStep own{.shape = {.in_features = 1, .out_features = 1},
                    .inputs = {1e15F},
                    .loss_grads = {1e-15F},
                    .fisher_grads = {1e-15F},
                    .rows = 1};
  Layer layer(own.shape, absolute(1e30));
  CHECK_THROWS_AS((void)own.prepare(layer), Error);
}

TEST_CASE("extremes: products on the way to a direction stay within float32") {
  const auto grads = random_numbers<float>(12, 3);
  for (const double scale : {0x1p-40, 1.0, 0x1p40}) {
    for (const double lambda : {1e-30, 1.0, 1e30}) {
      CAPTURE(scale);
      CAPTURE(lambda);
      const LayerShape shape{.kind = Kind::diagonal, .in_features = 1, .out_features = 4};
      Layer layer(shape, absolute(lambda));
      std::vector<float> scaled = grads;
      for (float& number : scaled) number *= static_cast<float>(scale);
      const std::vector<float> ones(3, 1.0F);
      layer.record({ones.data(), 3, 1}, {scaled.data(), 3, 4}, 3, 1);
      layer.refresh();
      (void)layer.prepare(std::nullopt, {});
      std::vector<double> expected;
      for (std::size_t j = 0; j < 4; ++j) {
        double v = 0;
        double d = 0;
        for (std::size_t i = 0; i < 3; ++i) {
          const auto number = static_cast<double>(scaled[(i * 4) + j]);
          v += number / 3;
          d += number * number / 3;
        }
        expected.push_back(v / (d + lambda));
      }
      const std::vector<double> error = difference(written(layer), expected);
      CHECK(norm(error) <= (1e-5 * norm(expected)) + 0x1p-147);
    }
  }
}

TEST_CASE("extremes: of a gradient that is zero every inner product is zero") {
  const std::vector<float> zeros(4, 0.0F);
  const std::vector<float> grads{0, 0, 256, 0, 0, 0, 0, 0, 0, 0, 0, 0};
  Layer layer({.in_features = 1, .out_features = 3, .loss_reduction = LossReduction::mean},
              {.damping = {.value = 0.027}, .block = Block::sample, .method = Method::exact});
  std::vector<float> x(3);
  const MatrixView<const float> rows(grads.data(), 4, 3);
  const LayerSummary summary =
      layer.natural_gradient({.inputs = {zeros.data(), 4, 1}, .output_grads = rows}, rows,
                             {.out = shape_block(layer.shape()).view(std::span(x))}, nullptr, nullptr);
  CHECK(summary.products.xx == 0);
  CHECK(summary.products.xfx == 0);
  CHECK(x == std::vector<float>(3, 0.0F));
}

TEST_CASE(
    "extremes: the norm of a batch's own direction is that of what is written, where small eigenvalues have a share") {
  const std::size_t n = 6;
  std::vector<float> inputs = random_numbers<float>(4 * n, 5);
  for (std::size_t i = 0; i < inputs.size(); ++i)
    inputs[i] = (i % 2 == 0 ? 64.0F : -64.0F) * (1 + (inputs[i] * 0x1p-16F));
  std::vector<float> grads = random_numbers<float>(20, 7);
  for (float& number : grads) number *= 0x1p-11F;
  Layer layer({.in_features = n, .out_features = 5, .bias = true},
              {.damping = {.value = 0.0048, .relative = true}, .method = Method::exact});
  std::vector<float> x(layer.shape().size());
  const MatrixView<const float> rows(grads.data(), 4, 5);
  const LayerSummary summary =
      layer.natural_gradient({.inputs = {inputs.data(), 4, n}, .output_grads = rows}, rows,
                             {.out = shape_block(layer.shape()).view(std::span(x))}, nullptr, nullptr);
  CHECK(summary.products.xx == doctest::Approx(dot(x, x)).epsilon(0.02));
}

TEST_CASE("extremes: states of another layer, of no layer, or beyond what counts are refused, and change nothing") {
  const RandomLayer plain{.shape = {.in_features = 2, .out_features = 3}, .input_rows = 4, .output_rows = 4};
  Layer saved(plain.shape, absolute(1));
  saved.record(plain.batch().inputs, plain.batch().output_grads, 4, 1);
  saved.refresh();
  saved.settle();
  // the same dimension, of which the last coordinate is 1
  Layer biased({.in_features = 1, .out_features = 3, .bias = true}, absolute(1));
  CHECK_THROWS_AS(biased.restore(saved.state()), Error);
  Layer layer(plain.shape, absolute(1));
  const LayerState before = layer.state();
  const auto refused = [&](auto&& damage) {
    LayerState state = saved.state();
    damage(state);
    CHECK_THROWS_AS(layer.restore(state), Error);
    CHECK(same_bits(layer.state(), before));
  };
  refused([](LayerState& state) { state.input.scale = -1; });
  refused([](LayerState& state) { state.output.refreshes = std::numeric_limits<std::size_t>::max(); });
  refused([](LayerState& state) { state.batches = std::numeric_limits<long>::max(); });
  refused([](LayerState& state) { state.batches = -1; });
  layer.restore(saved.state());
  CHECK(same_bits(layer.state(), saved.state()));
}

TEST_CASE("extremes: rows far from 1 keep their share of an inverse that is small") {
  const std::size_t n = 5;
  for (const double scale : {1.0, 0x1p40}) {
    CAPTURE(scale);
    OwnStep own{.shape = {.in_features = n, .out_features = 4},
                .inputs = random_numbers<float>(3 * n, 1),
                .loss_grads = random_numbers<float>(12, 2),
                .fisher_grads = random_numbers<float>(12, 3),
                .rows = 3};
    for (std::vector<float>* numbers : {&own.inputs, &own.loss_grads, &own.fisher_grads}) {
      for (float& number : *numbers) number *= static_cast<float>(scale);
    }
    LayerOptions options = absolute(1);
    options.damping = {.value = 15, .relative = true};
    Layer layer(own.shape, options);
    (void)own.prepare(layer);
    auto v = random_numbers<float>(layer.shape().size(), 4);
    for (float& number : v) number *= static_cast<float>(scale * scale);
    const FisherBlock shape = shape_block(layer.shape());
    const LayerStep step = layer.prepare(shape.view(std::span<const float>(v)), {});
    const DenseFactors factors{.a = factor_matrix({.rows = {own.inputs.data(), 3, n}, .scale = 1 / 3.0}),
                               .g = factor_matrix({.rows = {own.fisher_grads.data(), 3, 4}, .scale = 1 / 3.0})};
    const std::vector<double> x = widened(written(layer));
    CHECK(relative_error(factors.multiply(shape, *step.summary.factored, x), v) <= 1e-5);
  }
}

TEST_CASE("extremes: a multiple of a direction that float32 does not have makes no number that is not finite") {
  Layer layer({.in_features = 1, .out_features = 1}, {.damping = {.value = 5e5, .relative = true},
                                                      .method = Method::kfac,
                                                      .factor = {.history = FactorHistory::dense}});
  const float input = 0.57F;
  const float grad = 4;
  const float loss = -std::numeric_limits<float>::max();
  std::vector<float> weights{1};
  const Destination destination{.out = shape_block(layer.shape()).view(std::span(weights)), .factor = -1e6, .keep = 1};
  try {
    (void)layer.natural_gradient({.inputs = {&input, 1, 1}, .output_grads = {&grad, 1, 1}}, {&loss, 1, 1}, destination,
                                 nullptr, nullptr);
    const double a = 0.57 * 0.57;
    const double x = static_cast<double>(loss) * 0.57 / (a * 16 * (1 + 5e5));
    CHECK(weights[0] == doctest::Approx(1 - (1e6 * -x * -1)).epsilon(1e-4));
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::not_finite);
    CHECK(weights == std::vector<float>{1});
  }
}

TEST_CASE("extremes: a residual that starts from a solution of another size is that of x") {
  const LayerShape shape{.in_features = 5, .out_features = 1};
  LayerOptions options{.damping = {.value = 5e-10}, .method = Method::cg, .warm_start = WarmStart::previous};
  options.cg_fac.space = Space::weight;
  options.cg_fac.cg = {.max_iterations = 1, .tolerance = 0};
  Layer layer(shape, options);
  const std::vector<float> v(5, 32.0F);
  std::vector<float> x(5);
  LayerSummary summary;
  double residual = 0;
  for (const float size : {1.0F, 32.0F}) {  // F is a million times as large at the second
    const std::vector<float> inputs(5, size);
    const std::vector<float> grads{size == 1 ? 0.03F : 32.0F};
    const Batch batch{.inputs = {inputs.data(), 1, 5}, .output_grads = {grads.data(), 1, 1}};
    layer.record_batch(batch);
    const FisherBlock block = fisher_block(shape, batch);
    summary = layer.precondition(layer.batch(), block.view(std::span<const float>(v)), block.view(std::span(x)),
                                 nullptr, nullptr);
    residual = norm(difference(v, dense_apply(block, 5e-10, std::span<const float>(x)))) / norm(v);
  }
  CHECK(summary.cg_fac->cg.initial_residual > 100);
  CHECK(summary.cg_fac->cg.residual == doctest::Approx(residual).epsilon(0.01));
}

TEST_CASE("extremes: a start of another size than any solution is none") {
  const RandomLayer near{.shape = {.in_features = 3, .out_features = 2}, .input_rows = 4, .output_rows = 4};
  for (const auto& [space, size] : {std::pair{Space::gram, 0x1p-149F}, std::pair{Space::weight, 0x1p-149F},
                                    std::pair{Space::gram, 0x1p119F}, std::pair{Space::weight, 0x1p119F}}) {
    LayerOptions options{.damping = {.value = 50}, .method = Method::cg, .warm_start = WarmStart::scaled};
    options.cg_fac.space = space;
    Layer layer(near.shape, options);
    LayerState state = layer.state();
    state.previous.assign(near.size(), size);
    layer.restore(state);
    layer.record_batch(near.batch());
    std::vector<float> x(near.size());
    const FisherBlock block = near.block();
    (void)layer.precondition(layer.batch(), block.view(std::span<const float>(near.v)), block.view(std::span(x)),
                             nullptr, nullptr);
    const std::vector<double> back = dense_apply(block, 50, std::span<const float>(x));
    CHECK(relative_error(back, near.v) <= 0.02);
  }
}

TEST_CASE(
    "extremes: where both dampings are far above their factors, and v is what remains, a direction has all bits") {
  constexpr float largest = std::numeric_limits<float>::max();
  struct Case {
    std::vector<float> inputs;        // 3 samples of 2
    std::vector<float> fisher_grads;  // 1 × 2
    std::vector<float> loss_grads;    // 3 × 2
    bool bias;
    double lambda;
  };
  const std::vector<Case> cases{
      // outputs far below their damping, inputs too: x is divided by both
      {{0, 1.5e-8F, 0, 0, 1.2e-8F, 0},
       {9.4e-38F, -9.4e-38F},
       {-7.2e5F, 3.4e6F, 6.2e5F, -1.5e6F, 3.5e6F, 9.8e5F},
       true,
       0.6},
      // the largest gradient belongs to inputs of 0
      {{31.5F, 24.25F, 0, 0, 28.1F, 0},
       {-0.0043F, -0.0014F},
       {6.5e-11F, -2e-11F, -largest, 1, 3e-11F, 7e-11F},
       false,
       1e5},
      // a tiny gradient beside a large one that has no inputs
      {{0, 0, 0, 0, 0, 2.2e-7F}, {-1e-12F, 1.3e-24F}, {-1e-12F, -6.4e-13F, 0, 0, 5.9e-24F, -8.8e-24F}, false, 0.6},
  };
  for (const Case& one : cases) {
    CAPTURE(one.inputs[0]);
    Layer layer({.in_features = 2, .out_features = 2, .bias = one.bias}, absolute(one.lambda));
    const FisherBlock shape = shape_block(layer.shape());
    std::vector<float> x(layer.shape().size());
    (void)layer.natural_gradient({.inputs = {one.inputs.data(), 3, 2}, .output_grads = {one.fisher_grads.data(), 1, 2}},
                                 {one.loss_grads.data(), 3, 2}, {.out = shape.view(std::span(x))}, nullptr, nullptr);
    std::vector<double> v(x.size());
    for (std::size_t i = 0; i < 2; ++i) {
      for (std::size_t row = 0; row < 3; ++row) {
        const auto g = static_cast<double>(one.loss_grads[(2 * row) + i]);
        for (std::size_t j = 0; j < 2; ++j) v[(2 * i) + j] += g * static_cast<double>(one.inputs[(2 * row) + j]);
        if (one.bias) v[4 + i] += g;
      }
    }
    CHECK(norm(x) > 0);
    const double cosine = dot(x, v) / norm(x) / norm(v);
    CHECK(cosine == doctest::Approx(1).epsilon(1e-5));
  }
}

TEST_CASE("extremes: a multiple beyond float32 rounds a direction once") {
  const LayerShape shape{.in_features = 4, .out_features = 1};
  const std::vector<float> inputs{-2.1e-9F, -6.6e-10F, -1.1e-9F, 1.9e-9F,   -2e-9F,   3.2e-9F,  2.6e-9F,  1e-9F,
                                  -2.6e-9F, -1.8e-10F, -3e-9F,   -7.9e-10F, 8.6e-10F, 9.9e-10F, -2.5e-9F, -3.5e-9F};
  const std::vector<float> grads{-6.6e-8F, -2.1e-8F, -3.4e-8F, 6e-8F};
  Layer layer(shape, {.damping = {.value = 1e30}, .method = Method::kfac, .factor = {.history = FactorHistory::dense}});
  std::vector<float> x(4);
  const double factor = -8051.6;
  const FisherBlock block = shape_block(shape);
  const MatrixView<const float> g{grads.data(), 4, 1};
  (void)layer.natural_gradient({.inputs = {inputs.data(), 4, 4}, .output_grads = g}, g,
                               {.out = block.view(std::span(x)), .factor = factor}, nullptr, nullptr);
  constexpr double least = 0x1p-149;
  for (std::size_t j = 0; j < 4; ++j) {
    double v = 0;
    for (std::size_t row = 0; row < 4; ++row)
      v += static_cast<double>(grads[row]) * static_cast<double>(inputs[(4 * row) + j]);
    const double expected = factor * v / 4 / 1e30;  // of the mean; some hundred times the least number
    CHECK(std::abs(static_cast<double>(x[j]) - expected) <= 0.51 * least);
  }
}
