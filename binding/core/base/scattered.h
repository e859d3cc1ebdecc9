#pragma once

#include <cstdint>

namespace cgfac {

/// A number in [0, 1) that looks drawn at random and is the same at every call: a Weyl sequence through the finaliser
/// of SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014).
[[nodiscard]] constexpr double scattered(std::uint64_t stream, std::uint64_t index) {
  std::uint64_t z = ((stream + 1) * 0xd1b54a32d192ed03) + ((index + 1) * 0x9e3779b97f4a7c15);
  z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27U)) * 0x94d049bb133111eb;
  return static_cast<double>((z ^ (z >> 31U)) >> 11U) * 0x1p-53;
}

}  // namespace cgfac
