#pragma once

#include <cstdint>
#include <span>

/// Numbers of one type as those of another, as TensorFlow.js's cpu backend has them: integers are cut off towards 0 and
/// taken modulo 2^32, NaN and infinities are 0 (ToInt32 of ECMAScript 2024, section 7.1.6); floats of integers are the
/// nearest ones; a truth value is 0 or 1, and of a number 1 unless that is 0, of NaN 1. Arrays are equally long and
/// share no memory.
namespace cgfac {

void cast(std::span<const float> x, std::span<std::int32_t> out);
void cast(std::span<const float> x, std::span<std::uint8_t> out);
void cast(std::span<const std::int32_t> x, std::span<float> out);
void cast(std::span<const std::int32_t> x, std::span<std::uint8_t> out);
void cast(std::span<const std::uint8_t> x, std::span<float> out);
void cast(std::span<const std::uint8_t> x, std::span<std::int32_t> out);

}  // namespace cgfac
