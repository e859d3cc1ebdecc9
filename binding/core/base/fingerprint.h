#pragma once

#include <bit>
#include <cstdint>
#include <span>

namespace cgfac {

/// The hash of numbers by their bits, from that of what stood before them: FNV-1a over words of 32 bits (Fowler, Noll
/// and Vo), the high half folded in, because a product carries upwards alone.
[[nodiscard]] constexpr std::uint64_t fingerprint(std::span<const float> numbers, std::uint64_t hash) {
  for (const float number : numbers) {
    hash = (hash ^ std::bit_cast<std::uint32_t>(number)) * 0x100000001b3;
    hash ^= hash >> 32U;
  }
  return hash;
}

/// The hash of no numbers.
inline constexpr std::uint64_t no_fingerprint = 0xcbf29ce484222325;

}  // namespace cgfac
