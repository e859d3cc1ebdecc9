#include "core/kernels/segment_sum.h"

#include <algorithm>

#include "core/kernels/pieces.h"
#include "core/threads/parallel.h"

namespace cgfac {
namespace {

float sum(float a, float b) {
  return a + b;
}

std::int32_t sum(std::int32_t a, std::int32_t b) {
  return static_cast<std::int32_t>(static_cast<std::uint32_t>(a) + static_cast<std::uint32_t>(b));
}

// Pieces are columns: however unevenly the ids fall, each has the same work, and no number has two writers.
template <typename T>
void add_segments(std::span<const T> x, std::span<const std::int32_t> ids, std::size_t width, std::span<T> out) {
  constexpr std::size_t least_columns = 32;  // two cache lines
  const std::size_t segments = out.size() / width;
  const Split rows = Split::rows(segments, width);
  parallel_for(rows.blocks(), [&](std::size_t block) {
    std::ranges::fill(out.subspan(rows.first(block) * width, rows.count(block) * width), T{0});
  });
  const std::size_t pieces = std::clamp<std::size_t>(width / least_columns, 1, most_pieces);
  parallel_for(pieces, static_cast<double>(x.size()), [&](std::size_t piece) {
    const std::size_t left = cut(width, piece, pieces);
    const std::size_t right = cut(width, piece + 1, pieces);
    for (std::size_t i = 0; i < ids.size(); ++i) {
      if (ids[i] < 0 || static_cast<std::size_t>(ids[i]) >= segments) continue;
      const T* const from = x.data() + (i * width);
      T* const to = out.data() + (static_cast<std::size_t>(ids[i]) * width);
      for (std::size_t j = left; j < right; ++j) to[j] = sum(to[j], from[j]);
    }
  });
}

}  // namespace

void segment_sum(std::span<const float> x, std::span<const std::int32_t> ids, std::size_t width, std::span<float> out) {
  add_segments(x, ids, width, out);
}

void segment_sum(std::span<const std::int32_t> x, std::span<const std::int32_t> ids, std::size_t width,
                 std::span<std::int32_t> out) {
  add_segments(x, ids, width, out);
}

}  // namespace cgfac
