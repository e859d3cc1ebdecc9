#pragma once

#include <cstdint>
#include <span>

/// Numbers of one type as those of another, as TensorFlow.js's cpu backend has them. Arrays are equally long and share
/// no memory.
namespace cgfac {

/// out ← x cut off towards 0, modulo 2^32; NaN and infinities are 0 (ToInt32 of ECMAScript 2024, section 7.1.6).
void cast(std::span<const float> x, std::span<std::int32_t> out);
/// out ← 0 where x is 0, else 1, of NaN, too.
void cast(std::span<const float> x, std::span<std::uint8_t> out);
void cast(std::span<const std::int32_t> x, std::span<std::uint8_t> out);

}  // namespace cgfac
