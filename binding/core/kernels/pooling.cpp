#include "core/kernels/pooling.h"

#include <algorithm>
#include <vector>

#include "core/kernels/pieces.h"
#include "core/linalg/simd.h"
#include "core/threads/parallel.h"

namespace cgfac {
namespace {

// Calls add(row of dy, taps) for each window of each sample: a tap is where its channels begin in x.
template <typename Add>
void for_each_window(const ConvGeometry& g, std::span<float> dx, Add add) {
  const std::size_t outputs = volume_of(g.output);
  const std::size_t inputs = volume_of(g.input) * g.channels;
  const std::size_t groups = std::min(g.batch, most_pieces);
  parallel_for(groups, product_flops(g.rows(), volume_of(g.kernel), g.channels), [&](std::size_t group) {
    std::vector<std::size_t> taps(volume_of(g.kernel));
    for (std::size_t sample = cut(g.batch, group, groups); sample < cut(g.batch, group + 1, groups); ++sample) {
      std::ranges::fill(dx.subspan(sample * inputs, inputs), 0.0F);
      Position position{.sample = sample};
      for (std::size_t row = sample * outputs; row < (sample + 1) * outputs; ++row) {
        std::size_t count = 0;
        for_each_run(g, position, Taps(g, position, whole(g.input)),
                     [&](std::size_t from, std::size_t /*to*/, std::size_t numbers) {
                       for (std::size_t at = 0; at < numbers; at += g.channels) taps[count++] = from + at;
                     });
        add(row, std::span<const std::size_t>(taps.data(), count));
        position.advance(g);
      }
    }
  });
}

}  // namespace

void max_pool_gradient(const ConvGeometry& geometry, std::span<const float> x, std::span<const float> dy,
                       std::span<float> dx) {
  for_each_window(geometry, dx, [&](std::size_t row, std::span<const std::size_t> taps) {
    simd::add_to_last_maxima(taps.size(), taps.data(), geometry.channels, x.data(),
                             dy.data() + (row * geometry.channels), dx.data());
  });
}

void average_pool_gradient(const ConvGeometry& geometry, std::span<const float> dy, std::span<float> dx) {
  // products first, then sums: fused to one rounding, they would have other bits
  Scratch scratch;
  const std::span<float> shares = scratch.span(dy.size());
  const float share = 1.0F / static_cast<float>(volume_of(geometry.kernel));
  const Split split = Split::rows(geometry.rows(), geometry.channels);
  parallel_for(split.blocks(), [&](std::size_t block) {
    const std::size_t first = split.first(block) * geometry.channels;
    const std::size_t last = first + (split.count(block) * geometry.channels);
    for (std::size_t at = first; at < last; ++at) shares[at] = dy[at] * share;
  });
  for_each_window(geometry, dx, [&](std::size_t row, std::span<const std::size_t> taps) {
    const float* const from = shares.data() + (row * geometry.channels);
    for (const std::size_t tap : taps) {
      float* const to = dx.data() + tap;
      for (std::size_t j = 0; j < geometry.channels; ++j) to[j] += from[j];
    }
  });
}

}  // namespace cgfac
