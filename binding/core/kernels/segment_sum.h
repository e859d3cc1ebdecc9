#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace cgfac {

/// out[s] ← Σ x[i] over the rows i with ids[i] = s, in the order of i. Rows, and those of `out`, are `width` numbers,
/// one after the other; ids that are negative, or beyond the rows of `out`, are dropped. Integers wrap around.
void segment_sum(std::span<const float> x, std::span<const std::int32_t> ids, std::size_t width, std::span<float> out);
void segment_sum(std::span<const std::int32_t> x, std::span<const std::int32_t> ids, std::size_t width,
                 std::span<std::int32_t> out);

}  // namespace cgfac
