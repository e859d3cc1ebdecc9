// States of layers, whole or damaged: what is taken over is the state that was given, what is not is an Error with a
// code that changed nothing, and the step after is one, or an Error.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "core/base/error.h"
#include "core/layer/layer.h"
#include "support/draws.h"
#include "support/steps.h"
#include "support/target.h"
#include "support/variants.h"
#include "support/verdict.h"

namespace cgfac::fuzz {
namespace {

LayerShape drawn_shape(Draws& draws) {
  const std::size_t inputs = draws.size(4);
  const std::size_t outputs = draws.size(4);
  switch (draws.below(4)) {
    case 0:
      return {.kind = Kind::diagonal, .in_features = 1, .out_features = outputs, .layout = KernelLayout::in_out};
    case 1:
      return {.kind = Kind::scale_shift,
              .in_features = 1,
              .out_features = outputs,
              .bias = true,
              .layout = KernelLayout::in_out};
    default:
      return {.in_features = inputs, .out_features = outputs, .bias = draws.flag()};
  }
}

LayerOptions drawn_options(Draws& draws) {
  std::vector<LayerOptions> all = test::variants({.decay = 0.9, .rank = 3, .panel_rows = 3, .dense_dimension = 2});
  return all[draws.below(all.size())];
}

void take_step(Layer& layer, std::uint64_t seed) {
  const LayerShape& shape = layer.shape();
  constexpr std::size_t rows = 4;
  std::vector<float> inputs = test::random_numbers<float>(rows * kind_of(shape).input_width(shape), seed);
  if (shape.kind == Kind::diagonal) inputs.assign(inputs.size(), 1.0F);
  const auto grads = test::random_numbers<float>(rows * kind_of(shape).output_width(shape), seed + 1);
  layer.clear();
  layer.record({inputs.data(), rows, kind_of(shape).input_width(shape)},
               {grads.data(), rows, kind_of(shape).output_width(shape)}, rows, 1);
  layer.refresh();
  (void)layer.prepare(std::nullopt, {});
}

template <typename Number>
void damage(Draws& draws, std::vector<Number>& numbers) {
  switch (draws.below(4)) {
    case 0:
      numbers.resize(draws.below(24));
      break;
    case 1:
      if (!numbers.empty()) numbers[draws.below(numbers.size())] = static_cast<Number>(draws.among(hostile_numbers));
      break;
    case 2:
      if (!numbers.empty()) numbers[draws.below(numbers.size())] = static_cast<Number>(-draws.power_of_ten(-30, 30));
      break;
    default:
      numbers.clear();
  }
}

void damage(Draws& draws, FactorState& factor) {
  constexpr std::array sizes{std::size_t{0}, std::size_t{1}, std::size_t{3}, std::size_t{1} << 62U, ~std::size_t{0}};
  switch (draws.below(8)) {
    case 0:
      return damage(draws, factor.rows);
    case 1:
      return damage(draws, factor.squares);
    case 2:
      return damage(draws, factor.average);
    case 3:
      factor.scale = static_cast<double>(draws.among(hostile_numbers));
      break;
    case 4:
      factor.trace = draws.flag() ? -1 : static_cast<double>(draws.among(hostile_numbers));
      break;
    case 5:
      factor.refreshes = draws.among(sizes);
      break;
    case 6:
      factor.dimension = draws.among(sizes);
      break;
    default:
      factor.own = draws.among(sizes);
  }
}

void damage(Draws& draws, LayerState& state) {
  switch (draws.below(6)) {
    case 0:
      return damage(draws, state.previous);
    case 1:
      state.batches = draws.flag() ? -1 : std::numeric_limits<long>::max() - 1;
      break;
    case 2:
      return damage(draws, draws.flag() ? state.eigen.input_vectors : state.eigen.output_values);
    case 3:
      return damage(draws, draws.flag() ? state.eigen.output_vectors : state.eigen.input_values);
    default:
      damage(draws, draws.flag() ? state.input : state.output);
  }
}

}  // namespace

void run(Draws draws) {
  const LayerShape shape = drawn_shape(draws);
  const LayerOptions options = drawn_options(draws);
  Layer saved(shape, options);
  const std::size_t steps = draws.below(3);
  for (std::size_t i = 0; i < steps; ++i) {
    take_step(saved, i);
    saved.settle();
  }
  LayerState state = saved.state();
  const std::size_t damages = draws.below(4);
  for (std::size_t i = 0; i < damages; ++i) damage(draws, state);
  Layer layer(draws.below(4) == 3 ? drawn_shape(draws) : shape, options);
  const LayerState before = layer.state();
  try {
    layer.restore(state);
  } catch (const Error& error) {
    require(error.code() == ErrorCode::shape_mismatch || error.code() == ErrorCode::not_finite ||
                error.code() == ErrorCode::invalid_value,
            "the code of an error");
    require(damages > 0 || layer.shape().size() != shape.size() || layer.shape().kind != shape.kind ||
                layer.shape().in_features != shape.in_features || layer.shape().bias != shape.bias,
            "the state of a layer is one of a layer like it");
    require(test::same_bits(layer.state(), before), "an error leaves the layer as it was");
    return;
  }
  if (damages == 0) require(test::same_bits(layer.state(), state), "a state is taken over as it is");
  try {
    take_step(layer, 9);
    require(all_finite(test::written(layer)), "a direction is finite");
  } catch (const Error& error) {
    require(damages > 0, "the state of a layer goes on");
    require(error.code() == ErrorCode::not_finite || error.code() == ErrorCode::invalid_value, "the code of an error");
  }
}

}  // namespace cgfac::fuzz
