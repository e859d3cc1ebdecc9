#include "core/kernels/reduction.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <vector>

#include "core/threads/thread_pool.h"
#include "support/reference.h"

using namespace cgfac;
using namespace cgfac::test;

namespace {

// Every way to cut the work: columns of few and of many rows, rows of every width, all; below and above what is cut.
const std::array<ReducedExtents, 14> reduced_cases{{
    {},
    {.inner = 7},
    {.columns = 5, .inner = 3},
    {.columns = 5, .inner = 40},
    {.columns = 6, .inner = 333},
    {.rows = 9, .columns = 5},
    {.rows = 300, .columns = 17},
    {.outer = 3, .rows = 5, .columns = 2, .inner = 4},
    {.rows = 20000, .columns = 16},
    {.rows = 200, .columns = 1500},
    {.outer = 40, .rows = 100, .columns = 70},
    {.outer = 2, .rows = 3, .columns = 4, .inner = 20000},
    {.columns = 30000, .inner = 10},
    {.inner = 300001},
}};

// The result of the number at (o, c), by `join` in float64.
template <typename Join>
std::vector<double> expected_of(const ReducedExtents& extents, std::span<const float> x, double start, Join join) {
  std::vector<double> results(extents.results(), start);
  for (std::size_t at = 0; at < x.size(); ++at) {
    const std::size_t column = at / extents.inner % extents.columns;
    const std::size_t outer = at / (extents.inner * extents.columns * extents.rows);
    double& result = results[(outer * extents.columns) + column];
    result = join(result, static_cast<double>(x[at]));
  }
  return results;
}

std::vector<float> reduced(Reduction reduction, const ReducedExtents& extents, std::span<const float> x) {
  std::vector<float> out(extents.results(), 7);
  reduce(reduction, extents, x, out);
  return out;
}

}  // namespace

TEST_CASE("reductions: sums, means and maxima over two axes") {
  for (const ReducedExtents& extents : reduced_cases) {
    const std::vector<float> x = random_numbers<float>(extents.numbers(), 1);
    const auto sum = [](double a, double b) { return a + b; };
    const std::vector<double> sums = expected_of(extents, x, 0, sum);
    const std::vector<double> sizes = expected_of(extents, x, 0, [](double a, double b) { return a + std::abs(b); });
    const std::vector<double> maxima = expected_of(extents, x, -std::numeric_limits<double>::infinity(),
                                                   [](double a, double b) { return std::max(a, b); });
    const std::vector<float> own_sums = reduced(Reduction::sum, extents, x);
    const std::vector<float> own_means = reduced(Reduction::mean, extents, x);
    const std::vector<float> own_maxima = reduced(Reduction::max, extents, x);
    const auto count = static_cast<double>(extents.rows * extents.inner);
    // at most 128 numbers are added in float32, most of them by halves
    constexpr double error = 128 * 0x1p-24;
    for (std::size_t at = 0; at < sums.size(); ++at) {
      REQUIRE(std::abs(static_cast<double>(own_sums[at]) - sums[at]) <= error * sizes[at]);
      REQUIRE(std::abs((static_cast<double>(own_means[at]) * count) - sums[at]) <= error * sizes[at]);
      REQUIRE(static_cast<double>(own_maxima[at]) == maxima[at]);
    }
  }
}

TEST_CASE("reductions: the same bits, whatever the number of threads") {
  const std::size_t before = ThreadPool::shared().size();
  for (const ReducedExtents& extents : reduced_cases) {
    const std::vector<float> x = random_numbers<float>(extents.numbers(), 2);
    for (const Reduction reduction : {Reduction::sum, Reduction::max}) {
      ThreadPool::shared().resize(1);
      const std::vector<float> one = reduced(reduction, extents, x);
      for (const std::size_t threads : {2U, 5U}) {
        ThreadPool::shared().resize(threads);
        CHECK(reduced(reduction, extents, x) == one);
      }
    }
  }
  ThreadPool::shared().resize(before);
}

TEST_CASE("reductions: a NaN at any place is in its result alone, and minus zeros add up to zero") {
  for (const ReducedExtents& extents : reduced_cases) {
    if (extents.numbers() > 6000) continue;
    for (std::size_t place = 0; place < extents.numbers(); place += 1 + (extents.numbers() / 50)) {
      std::vector<float> x(extents.numbers(), -0.0F);
      CHECK(std::bit_cast<std::uint32_t>(reduced(Reduction::sum, extents, x).front()) == 0);
      x[place] = std::numeric_limits<float>::quiet_NaN();
      for (const Reduction reduction : {Reduction::sum, Reduction::max}) {
        const std::vector<float> out = reduced(reduction, extents, x);
        CHECK(std::ranges::count_if(out, [](float number) { return std::isnan(number); }) == 1);
      }
    }
  }
}

TEST_CASE("reductions: a sum beyond the range of float32 on the way is none at the end") {
  constexpr float large = 2e38F;
  std::vector<float> x(512, 0);
  x[0] = x[128] = large;
  x[300] = x[428] = -large;
  CHECK(reduced(Reduction::sum, {.rows = 512}, x).front() == 0);
}
