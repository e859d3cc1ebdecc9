#include "core/kernels/segment_sum.h"

#include <doctest/doctest.h>

#include <array>
#include <cstring>
#include <limits>
#include <vector>

#include "core/threads/thread_pool.h"
#include "support/reference.h"

using namespace cgfac;
using namespace cgfac::test;

TEST_CASE("segment sums: rows by id, ids outside of the segments dropped") {
  const std::array<float, 10> x{1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
  const std::array<std::int32_t, 5> ids{2, -1, 0, 2, 3};
  std::array<float, 6> out{};
  out.fill(std::numeric_limits<float>::quiet_NaN());
  segment_sum(x, ids, 2, out);
  CHECK(out == std::array<float, 6>{5, 6, 0, 0, 8, 10});
}

TEST_CASE("segment sums: integers are exact, and wrap around") {
  constexpr std::int32_t most = std::numeric_limits<std::int32_t>::max();
  const std::array<std::int32_t, 4> x{most, 16777217, 1, 1};
  const std::array<std::int32_t, 4> ids{0, 1, 0, 1};
  std::array<std::int32_t, 2> out{7, 7};
  segment_sum(x, ids, 1, out);
  CHECK(out == std::array<std::int32_t, 2>{std::numeric_limits<std::int32_t>::min(), 16777218});
}

TEST_CASE("segment sums: the order of rows, whatever the number of threads") {
  constexpr std::size_t rows = 3000;
  constexpr std::size_t segments = 70;
  const std::size_t before = ThreadPool::shared().size();
  for (const std::size_t width : {1U, 37U, 200U}) {
    const std::vector<float> x = random_numbers<float>(rows * width, 1);
    std::vector<std::int32_t> ids;
    for (const double u : random_numbers<double>(rows, 2)) {
      ids.push_back(static_cast<std::int32_t>(u * u * static_cast<double>(segments + 2)) - 1);
    }
    std::vector<float> expected(segments * width);
    for (std::size_t i = 0; i < rows; ++i) {
      if (ids[i] < 0 || static_cast<std::size_t>(ids[i]) >= segments) continue;
      for (std::size_t j = 0; j < width; ++j) {
        expected[(static_cast<std::size_t>(ids[i]) * width) + j] += x[(i * width) + j];
      }
    }
    for (const std::size_t threads : {1U, 2U, 5U}) {
      ThreadPool::shared().resize(threads);
      std::vector<float> out(segments * width, 7);
      segment_sum(x, ids, width, out);
      CHECK(out == expected);
    }
  }
  ThreadPool::shared().resize(before);
}
