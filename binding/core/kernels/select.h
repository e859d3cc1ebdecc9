#pragma once

#include <cstdint>
#include <span>

namespace cgfac {

/// out[i] ← yes[i] where condition[i] is not 0, else no[i]: its bits, as they are. Arrays are equally long; `out`
/// shares no memory with the others.
void select(std::span<const std::uint8_t> condition, std::span<const float> yes, std::span<const float> no,
            std::span<float> out);
void select(std::span<const std::uint8_t> condition, std::span<const std::int32_t> yes,
            std::span<const std::int32_t> no, std::span<std::int32_t> out);
void select(std::span<const std::uint8_t> condition, std::span<const std::uint8_t> yes,
            std::span<const std::uint8_t> no, std::span<std::uint8_t> out);

}  // namespace cgfac
