#include "core/kernels/batch_normalization.h"

#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <limits>
#include <span>
#include <vector>

#include "core/threads/thread_pool.h"
#include "support/reference.h"

using namespace cgfac;
using namespace cgfac::test;

namespace {

// The greatest error of numbers, in units of 2^−24 of what they are sums of.
double error_of(const ColumnStatistics& of, std::span<const float> x, std::span<const float> out) {
  double worst = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const std::size_t j = i % of.mean.size();
    const double scale = of.scale.empty() ? 1 : static_cast<double>(of.scale[j]);
    const double offset = of.offset.empty() ? 0 : static_cast<double>(of.offset[j]);
    const double factor = scale / std::sqrt(static_cast<double>(of.variance[j]) + of.epsilon);
    const double normalised = (static_cast<double>(x[i]) - static_cast<double>(of.mean[j])) * factor;
    const double size = std::fabs(normalised) + std::fabs(offset);
    worst = std::fmax(worst, std::fabs(static_cast<double>(out[i]) - (normalised + offset)) / size);
  }
  return worst * std::ldexp(1, 24);
}

}  // namespace

TEST_CASE("batch normalization: of rows of any width, with and without scale and offset") {
  for (const std::size_t width : {1U, 3U, 16U, 700U, 1500U}) {
    for (const std::size_t rows : {1U, 5U, 333U}) {
      const std::vector<float> x = random_numbers<float>(rows * width, 1);
      const std::vector<float> mean = random_numbers<float>(width, 2);
      std::vector<float> variance = random_numbers<float>(width, 3);
      for (float& number : variance) number *= number;
      const std::vector<float> scale = random_numbers<float>(width, 4);
      const std::vector<float> offset = random_numbers<float>(width, 5);
      std::vector<float> out(x.size());
      for (const bool plain : {true, false}) {
        ColumnStatistics of{.mean = mean, .variance = variance, .scale = {}, .offset = {}, .epsilon = 1e-3};
        if (!plain) of.scale = scale;
        if (!plain) of.offset = offset;
        batch_normalization(of, x, out);
        CHECK(error_of(of, x, out) <= 4);
      }
    }
  }
}

TEST_CASE("batch normalization: NaN stays in its place, a variance of 0 without an epsilon is an infinite factor") {
  constexpr float not_a_number = std::numeric_limits<float>::quiet_NaN();
  const std::array<float, 2> mean{0, 1};
  const std::array<float, 2> variance{1, 0};
  const ColumnStatistics of{.mean = mean, .variance = variance, .scale = {}, .offset = {}, .epsilon = 0};
  std::array<float, 6> x{not_a_number, 3, 2, 1, -1, 0};
  batch_normalization(of, x, x);
  CHECK(std::isnan(x[0]));
  CHECK(x[1] == std::numeric_limits<float>::infinity());
  CHECK(x[2] == 2);
  CHECK(std::isnan(x[3]));
  CHECK(x[4] == -1);
  CHECK(x[5] == -std::numeric_limits<float>::infinity());
}

TEST_CASE("batch normalization: the same bits for any number of threads") {
  constexpr std::size_t width = 48;
  const std::vector<float> x = random_numbers<float>(7001 * width, 1);
  const std::vector<float> mean = random_numbers<float>(width, 2);
  const std::vector<float> variance(width, 2);
  const ColumnStatistics of{.mean = mean, .variance = variance, .scale = mean, .offset = mean, .epsilon = 1e-3};
  const std::size_t before = ThreadPool::shared().size();
  std::vector<float> expected;
  for (const std::size_t threads : {1U, 2U, 5U}) {
    ThreadPool::shared().resize(threads);
    std::vector<float> out(x.size(), 7);
    batch_normalization(of, x, out);
    if (expected.empty()) expected = out;
    CHECK(out == expected);
    CHECK(error_of(of, x, out) <= 4);
  }
  ThreadPool::shared().resize(before);
}
