#include "core/kernels/batch_normalization.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "core/kernels/pieces.h"
#include "core/linalg/clones.h"
#include "core/threads/parallel.h"

namespace cgfac {
namespace {

// Numbers of a stretch of rows at the least, so that narrow rows are not a loop each.
constexpr std::size_t least_stretch = 1024;
// What a number costs, in flops of a matrix product: 0.3 ns.
constexpr double flops_of_normalised = 20;

CGFAC_CLONES void normalise(std::size_t count, const float* mean, const float* factor, const float* offset,
                            const float* x, float* out) {
#pragma omp simd
  for (std::size_t i = 0; i < count; ++i) out[i] = ((x[i] - mean[i]) * factor[i]) + offset[i];
}

// Numbers of each column, again and again.
void repeat(std::span<const float> columns, std::span<float> stretch) {
  for (; !stretch.empty(); stretch = stretch.subspan(columns.size())) std::ranges::copy(columns, stretch.begin());
}

}  // namespace

void batch_normalization(const ColumnStatistics& of, std::span<const float> x, std::span<float> out) {
  const std::size_t width = of.mean.size();
  const std::size_t rows = x.size() / width;
  const std::size_t rows_of_stretch = std::clamp<std::size_t>(least_stretch / width, 1, std::max<std::size_t>(rows, 1));
  const std::size_t stretch = rows_of_stretch * width;
  Scratch scratch;
  const std::span<float> columns = scratch.span((3 * stretch) + width);
  const std::span<float> mean = columns.subspan(0, stretch);
  const std::span<float> factor = columns.subspan(stretch, stretch);
  const std::span<float> offset = columns.subspan(2 * stretch, stretch);
  const std::span<float> once = columns.subspan(3 * stretch);
  for (std::size_t j = 0; j < width; ++j) {
    const double scale = of.scale.empty() ? 1 : static_cast<double>(of.scale[j]);
    once[j] = static_cast<float>(scale / std::sqrt(static_cast<double>(of.variance[j]) + of.epsilon));
  }
  repeat(of.mean, mean);
  repeat(once, factor);
  if (of.offset.empty()) {
    std::ranges::fill(offset, 0.0F);
  } else {
    repeat(of.offset, offset);
  }
  const double flops = flops_of_normalised * static_cast<double>(x.size());
  const std::size_t pieces = flops < worth_pieces ? 1 : most_pieces;
  parallel_for(pieces, flops, [&](std::size_t piece) {
    const std::size_t end = width * cut(rows, piece + 1, pieces);
    for (std::size_t at = width * cut(rows, piece, pieces); at < end; at += stretch) {
      normalise(std::min(stretch, end - at), mean.data(), factor.data(), offset.data(), x.data() + at, out.data() + at);
    }
  });
}

}  // namespace cgfac
