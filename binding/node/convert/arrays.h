#pragma once

#include <napi.h>

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "core/layer/kinds/kinds.h"

/// Reading arrays. The facade has checked types and values and speaks to the user; these checks keep a call that did
/// not come through it from touching memory that is not its own.
namespace cgfac::node {

/// The memory of a Float32Array of that length, shared or not. Throws for another type or length.
[[nodiscard]] std::span<float> float32_array(const Napi::Value& value, std::string_view name, std::size_t length);
/// The memory of a Float32Array of whatever length.
[[nodiscard]] std::span<float> float32_array(const Napi::Value& value, std::string_view name);
/// The memory of a Float64Array of that length.
[[nodiscard]] std::span<double> float64_array(const Napi::Value& value, std::string_view name, std::size_t length);

/// The memory of a Float64Array of whatever length.
[[nodiscard]] std::span<double> float64_array(const Napi::Value& value, std::string_view name);
/// The memory of a Uint32Array of whatever length.
[[nodiscard]] std::span<std::uint32_t> uint32_array(const Napi::Value& value, std::string_view name);
/// The memory of an Int32Array of that length.
[[nodiscard]] std::span<std::int32_t> int32_array(const Napi::Value& value, std::string_view name, std::size_t length);
/// The memory of an Int32Array of whatever length.
[[nodiscard]] std::span<std::int32_t> int32_array(const Napi::Value& value, std::string_view name);
/// The memory of a Uint8Array of that length.
[[nodiscard]] std::span<std::uint8_t> uint8_array(const Napi::Value& value, std::string_view name, std::size_t length);
/// The memory of a Uint8Array of whatever length.
[[nodiscard]] std::span<std::uint8_t> uint8_array(const Napi::Value& value, std::string_view name);
/// Whether a value is a Uint8Array.
[[nodiscard]] bool is_uint8_array(const Napi::Value& value);
/// Whether a value is an Int32Array.
[[nodiscard]] bool is_int32_array(const Napi::Value& value);

/// The product of sizes. Throws where one is 0, or where it exceeds what an array can hold.
[[nodiscard]] std::size_t volume(std::initializer_list<std::size_t> sizes);
/// A positive count, as the facade has checked it.
[[nodiscard]] std::size_t size_of(const Napi::Value& value);
/// The value of a JavaScript number.
[[nodiscard]] double number_of(const Napi::Value& value);

/// A vector of weight space as JavaScript has it: a kernel array and, for a layer with a bias, a bias array.
struct WeightArrays {
  std::span<float> kernel;
  std::span<float> bias;

  /// As the core sees it, in the layout of a block.
  [[nodiscard]] WeightView<float> view(const FisherBlock& block) const {
    return {block.kernel_view(kernel.data()), bias};
  }
};
/// Reads a vector of a layer from its two arrays.
[[nodiscard]] WeightArrays weight_arrays(const Napi::Value& kernel, const Napi::Value& bias, std::string_view name,
                                         const LayerShape& shape);
/// Reads a vector of a layer from an object { kernel, bias }; none where the value is undefined.
[[nodiscard]] std::optional<WeightArrays> weight_vector(const Napi::Value& value, std::string_view name,
                                                        const LayerShape& shape);

/// What an `out` is checked against.
struct Read {
  std::optional<WeightArrays> v{};
  std::optional<WeightArrays> x0{};
  std::vector<std::span<const float>> rows{};
};
/// Refuses an `out` that overlaps what is read, unless it is the same arrays as `v` or `x0` in both parts.
void require_no_overlap(Napi::Env env, const WeightArrays& out, const Read& read);

/// A copy of numbers for JavaScript.
template <typename Array, typename T>
[[nodiscard]] Array typed_array(Napi::Env env, const std::vector<T>& numbers) {
  Array result = Array::New(env, numbers.size());
  std::ranges::copy(numbers, result.Data());
  return result;
}

}  // namespace cgfac::node
