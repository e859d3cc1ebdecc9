#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <string_view>

namespace cgfac::fuzz {

/// Ends the process where something does not hold that should, as libFuzzer asks for.
inline void require(bool holds, std::string_view what) {
  if (holds) return;
  std::fprintf(stderr, "not so: %.*s\n", static_cast<int>(what.size()), what.data());
  std::abort();
}

/// The same for two numbers of which the first must not exceed the second; NaN exceeds everything.
inline void require_within(double value, double bound, std::string_view what) {
  if (value <= bound) return;
  std::fprintf(stderr, "%.*s is %.9g, where %.9g is allowed\n", static_cast<int>(what.size()), what.data(), value,
               bound);
  std::abort();
}

/// Whether two arrays have the same bits.
inline bool same_bits(std::span<const float> x, std::span<const float> y) {
  if (x.size() != y.size()) return false;
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (std::bit_cast<std::uint32_t>(x[i]) != std::bit_cast<std::uint32_t>(y[i])) return false;
  }
  return true;
}

/// Whether all numbers are finite.
inline bool all_finite(std::span<const float> x) {
  for (const float value : x) {
    if (!std::isfinite(value)) return false;
  }
  return true;
}

/// Whether the largest of some numbers is 1 but for a factor, and all are finite.
inline bool near_one(std::span<const float> x, float factor) {
  const auto size = [](float number) { return std::abs(number); };
  const float largest = size(std::ranges::max(x, {}, size));
  return all_finite(x) && largest >= 1 / factor && largest <= factor;
}

}  // namespace cgfac::fuzz
