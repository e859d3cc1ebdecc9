#include "core/block/finite.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <string>

#include "core/base/error.h"
#include "core/block/weight_vector.h"
#include "core/threads/parallel.h"

namespace cgfac {
namespace {

[[noreturn]] void throw_at(std::string_view name, float value, std::size_t index) {
  throw expected(ErrorCode::not_finite, "finite numbers", name,
                 to_text(static_cast<double>(value)) + " at index " + std::to_string(index));
}

void require_finite_side(std::string_view rows_name, std::string_view factor_name, const Side& side) {
  require_finite(rows_name, side.rows);
  require_finite(rows_name, side.last);
  require_finite(factor_name, side.covariance);
}

}  // namespace

// By the exponents, which are all ones: integers, so that the loop is one pass of vector instructions.
bool all_finite(std::span<const float> numbers) {
  constexpr std::uint32_t exponent = 0x7f800000;
  const Pieces pieces(numbers.size());
  std::array<std::uint32_t, Pieces::most> found{};
  parallel_for(pieces.count, [&](std::size_t i) {
    std::uint32_t any = 0;
    for (const float number : pieces.of(numbers, i))
      any |= static_cast<std::uint32_t>((std::bit_cast<std::uint32_t>(number) & exponent) == exponent);
    found[i] = any;
  });
  return std::ranges::all_of(found, [](std::uint32_t any) { return any == 0; });
}

void require_finite(std::string_view name, std::span<const float> numbers) {
  const auto found = std::ranges::find_if(numbers, [](float x) { return !std::isfinite(x); });
  if (found != numbers.end()) throw_at(name, *found, static_cast<std::size_t>(found - numbers.begin()));
}

void require_finite(std::string_view name, const MatrixView<const float>& numbers) {
  for (std::size_t i = 0; i < numbers.rows; ++i) {
    for (std::size_t j = 0; j < numbers.cols; ++j) {
      if (!std::isfinite(numbers(i, j))) throw_at(name, numbers(i, j), (i * numbers.cols) + j);
    }
  }
}

void require_finite(std::string_view name, const WeightView<const float>& v) {
  const std::string prefix(name);
  require_finite(v.bias.empty() ? prefix : prefix + ".kernel", v.kernel.elements());
  require_finite(prefix + ".bias", v.bias);
}

void require_finite(const FisherBlock& block) {
  require_finite_side("inputs", "the input factor", block.input);
  require_finite_side("outputGrads", "the output factor", block.output);
}

void throw_not_finite(const FisherBlock& block, std::string_view name, const WeightView<const float>& v) {
  require_finite(block);
  require_finite(name, v);
  throw expected(ErrorCode::not_finite, "products within the range of float32",
                 "inputs, outputGrads and " + std::string(name), "an overflow");
}

void throw_not_finite(const FisherBlock& block, const Gradient& gradient) {
  if (gradient.same_batch()) {
    require_finite("lossGrads", gradient.loss_grads);
    require_finite("inputs", gradient.inputs);
  }
  throw_not_finite(block, "v", gradient.v);
}

}  // namespace cgfac
