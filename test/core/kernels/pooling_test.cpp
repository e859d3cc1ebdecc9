#include "core/kernels/pooling.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "core/threads/thread_pool.h"
#include "support/reference.h"

using namespace cgfac;
using namespace cgfac::test;

namespace {

using Numbers = std::vector<float>;

// One window; windows that overlap, that leave inputs out, that reach over the edge, of taps with gaps; whole lanes of
// channels and a rest; samples enough for several pieces.
ConvGeometry windows(std::size_t batch, std::size_t channels, Extents input, Extents output, Extents kernel,
                     Extents stride, Extents padding, Extents dilation = {1, 1, 1}) {
  return {.batch = batch,
          .channels = channels,
          .filters = channels,
          .input = input,
          .output = output,
          .kernel = kernel,
          .stride = stride,
          .dilation = dilation,
          .padding = padding};
}
const std::array<ConvGeometry, 6> pooled{
    windows(1, 1, {1, 2, 2}, {1, 1, 1}, {1, 2, 2}, {1, 1, 1}, {0, 0, 0}),
    windows(2, 19, {1, 5, 6}, {1, 4, 5}, {1, 2, 2}, {1, 1, 1}, {0, 0, 0}),
    windows(3, 4, {1, 9, 7}, {1, 3, 2}, {1, 2, 3}, {1, 3, 4}, {0, 0, 0}),
    windows(2, 16, {1, 5, 5}, {1, 5, 5}, {1, 3, 3}, {1, 1, 1}, {0, 1, 1}),
    windows(2, 3, {1, 7, 7}, {1, 3, 5}, {1, 3, 2}, {1, 1, 1}, {0, 0, 0}, {1, 2, 2}),
    windows(40, 33, {1, 14, 14}, {1, 7, 7}, {1, 2, 2}, {1, 2, 2}, {0, 0, 0}),
};

struct Pooling {
  explicit Pooling(const ConvGeometry& geometry) : g(geometry) {
    for (float& each : x) each = std::round(2 * each) / 2;  // equal ones in most windows
  }

  // The greatest input of each window alone, the last of equal ones, or each of them times a share; in dy's order.
  [[nodiscard]] Numbers expected(bool maximum) const {
    Numbers dx(x.size());
    const float share = 1.0F / static_cast<float>(volume_of(g.kernel));
    for (std::size_t row = 0; row < g.rows(); ++row) {
      const Position position = Position::of_row(g, row);
      std::vector<std::size_t> places;
      for_each_run(g, position, Taps(g, position, whole(g.input)), [&](std::size_t from, std::size_t, std::size_t n) {
        for (std::size_t at = 0; at < n; at += g.channels) places.push_back(from + at);
      });
      for (std::size_t c = 0; c < g.channels; ++c) {
        const float error = dy[(row * g.channels) + c];
        std::size_t last = places[0];
        for (const std::size_t place : places) last = x[place + c] >= x[last + c] ? place : last;
        if (maximum) dx[last + c] += error;
        for (const std::size_t place : places) {
          const float part = error * share;
          if (!maximum) dx[place + c] += part;
        }
      }
    }
    return dx;
  }

  // The gradient with one, two and five threads, all of the same bits.
  [[nodiscard]] Numbers gradient(bool maximum) const {
    const std::size_t before = ThreadPool::shared().size();
    std::vector<Numbers> results;
    for (const std::size_t threads : {1U, 2U, 5U}) {
      ThreadPool::shared().resize(threads);
      Numbers& dx = results.emplace_back(x.size(), std::numeric_limits<float>::quiet_NaN());
      if (maximum) max_pool_gradient(g, x, dy, dx);
      if (!maximum) average_pool_gradient(g, dy, dx);
    }
    ThreadPool::shared().resize(before);
    for (const Numbers& dx : results) CHECK(std::memcmp(dx.data(), results[0].data(), dx.size() * sizeof(float)) == 0);
    return results[0];
  }

  ConvGeometry g;
  Numbers x = random_numbers<float>(g.batch * volume_of(g.input) * g.channels, 1);
  Numbers dy = random_numbers<float>(g.rows() * g.channels, 2);
};

}  // namespace

TEST_CASE("pooling: the gradients of maxima and of averages, in the order of dy, whatever the number of threads") {
  for (std::size_t which = 0; which < pooled.size(); ++which) {
    CAPTURE(which);
    const Pooling pooling(pooled[which]);
    CHECK(pooling.gradient(true) == pooling.expected(true));
    CHECK(pooling.gradient(false) == pooling.expected(false));
  }
}

TEST_CASE("pooling: NaN and -infinity are never the maximum, in whole lanes and in the rest of them") {
  constexpr float nan = std::numeric_limits<float>::quiet_NaN();
  constexpr float infinity = std::numeric_limits<float>::infinity();
  constexpr std::size_t channels = 17;
  const ConvGeometry g = windows(1, channels, {1, 1, 4}, {1, 1, 2}, {1, 1, 2}, {1, 1, 2}, {0, 0, 0});
  Numbers x;
  for (const float each : {-3.0F, nan, -infinity, nan}) x.insert(x.end(), channels, each);
  Numbers dx(x.size(), nan);
  max_pool_gradient(g, x, Numbers(2 * channels, infinity), dx);
  for (std::size_t at = 0; at < dx.size(); ++at) CHECK(dx[at] == (at < channels ? infinity : 0.0F));
}
