#pragma once

#include <cstddef>
#include <span>

namespace cgfac {

/// An axis of a copy: how many numbers it has, and how far apart they lie in either array.
struct CopiedAxis {
  std::size_t extent;
  std::size_t from_step;  ///< 0 repeats a number
  std::size_t to_step;    ///< positive
};

/// The most axes of a copy.
inline constexpr std::size_t most_copied_axes = 16;

/// to[Σ i_a·to_step_a] ← from[Σ i_a·from_step_a] for all indices i_a below the extents, which are positive: slices,
/// concatenations, transposes and repetitions. No two indices have the same place in `to`; steps of `to` descend.
void strided_copy(std::span<const CopiedAxis> axes, const float* from, float* to);

/// The row of `width` numbers at each of the indices, for each of `outer` blocks of `rows` rows.
struct GatheredRows {
  std::size_t outer;
  std::size_t rows;
  std::size_t width;
};

/// to[o, i] ← from[o, ids[i]], whole rows. The ids are below `rows`.
void gather_rows(const GatheredRows& shape, const float* from, std::span<const int> ids, float* to);

}  // namespace cgfac
