#include "core/kernels/element_wise.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <utility>
#include <vector>

#include "core/threads/thread_pool.h"
#include "support/elementary.h"
#include "support/reference.h"

using namespace cgfac;
using namespace cgfac::test;

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float not_a_number = std::numeric_limits<float>::quiet_NaN();

struct Worst {
  double error = 0;
  float at = 0;
};

Worst worst_of(const ElementaryCase& tested, std::span<const float> x) {
  std::vector<float> y(x.size());
  element_wise(tested.function, x, y);
  Worst worst;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double error = error_of(y[i], tested.exact(static_cast<double>(x[i])));
    if (error > worst.error) worst = {.error = error, .at = x[i]};
  }
  return worst;
}

void check_errors(std::span<const float> x) {
  for (const ElementaryCase& tested : elementary_cases) {
    CAPTURE(tested.name);
    const Worst worst = worst_of(tested, x);
    CAPTURE(worst.at);
    CHECK(worst.error <= 3);
  }
}

}  // namespace

TEST_CASE("element-wise functions: within 3 units in the last place, over all exponents, subnormal numbers and NaN") {
  // a step that is odd, so that the last bits take every value
  constexpr std::uint64_t step = 4999;
  std::vector<float> x;
  for (std::uint64_t bits = 0; bits < 0x100000000ULL; bits += step) {
    x.push_back(std::bit_cast<float>(static_cast<std::uint32_t>(bits)));
  }
  check_errors(x);
}

TEST_CASE("element-wise functions: within 3 units in the last place, densely where they are hard") {
  // where results overflow, become subnormal, 0 or their limit, and where one formula ends and the next begins
  for (const float centre :
       {-104.0F, -103.28F, -88.73F, -87.34F, -17.33F, -9.02F, -1.0F, -0.5F, -0.35F, -0.2929F, 0.35F,
        0.4142F, 0.5F,     0.7071F, 1.0F,    1.4142F, 1.04F,  3.92F, 9.02F, 17.33F, 88.38F,   88.72F}) {
    std::vector<float> x;
    const std::uint32_t middle = std::bit_cast<std::uint32_t>(centre);
    for (std::uint32_t i = 0; i < 8000; ++i) x.push_back(std::bit_cast<float>(middle + i - 4000));
    CAPTURE(centre);
    check_errors(x);
  }
}

TEST_CASE("element-wise functions: infinities, zeros of both signs, and what overflows") {
  using Values = std::vector<std::pair<float, float>>;
  const float least = std::numeric_limits<float>::denorm_min();
  const auto check = [](ElementWise function, const Values& values) {
    for (const auto& [x, expected] : values) {
      CAPTURE(static_cast<int>(function));
      CAPTURE(x);
      std::array<float, 1> y{x};
      element_wise(function, y, y);
      CHECK((std::isnan(expected) ? std::isnan(y[0])
                                  : std::bit_cast<std::uint32_t>(y[0]) == std::bit_cast<std::uint32_t>(expected)));
    }
  };
  for (const ElementaryCase& tested : elementary_cases)
    check(tested.function, {{not_a_number, not_a_number}, {-not_a_number, not_a_number}});
  check(ElementWise::exp,
        {{infinity, infinity}, {-infinity, 0}, {0.0F, 1}, {-0.0F, 1}, {89, infinity}, {-104, 0}, {1e30F, infinity}});
  check(ElementWise::expm1,
        {{infinity, infinity}, {-infinity, -1}, {0.0F, 0}, {-0.0F, -0.0F}, {89, infinity}, {least, least}});
  check(ElementWise::log,
        {{infinity, infinity}, {-infinity, not_a_number}, {0.0F, -infinity}, {-0.0F, -infinity}, {1, 0}});
  check(ElementWise::log, {{-1, not_a_number}, {-least, not_a_number}});
  check(ElementWise::log1p,
        {{infinity, infinity}, {-infinity, not_a_number}, {0.0F, 0}, {-0.0F, -0.0F}, {-1, -infinity}});
  check(ElementWise::log1p, {{-1.5F, not_a_number}, {-least, -least}});
  check(ElementWise::tanh,
        {{infinity, 1}, {-infinity, -1}, {0.0F, 0}, {-0.0F, -0.0F}, {20, 1}, {-1e30F, -1}, {least, least}});
  check(ElementWise::sigmoid, {{infinity, 1}, {-infinity, 0}, {0.0F, 0.5F}, {-0.0F, 0.5F}, {-105, 0}, {30, 1}});
  check(ElementWise::elu,
        {{infinity, infinity}, {-infinity, -1}, {0.0F, 0}, {-0.0F, -0.0F}, {1e30F, 1e30F}, {-least, -least}});
  check(ElementWise::softplus, {{infinity, infinity}, {-infinity, 0}, {-105, 0}, {100, 100}});
  check(ElementWise::erf, {{infinity, 1}, {-infinity, -1}, {0.0F, 0}, {-0.0F, -0.0F}, {5, 1}});
  check(ElementWise::sqrt,
        {{infinity, infinity}, {-infinity, not_a_number}, {0.0F, 0}, {-0.0F, -0.0F}, {-1, not_a_number}});
  check(ElementWise::rsqrt, {{infinity, 0}, {-1, not_a_number}, {0.0F, infinity}, {-0.0F, -infinity}});
}

TEST_CASE("element-wise functions: the same bits at every place, in place, and for any number of threads") {
  constexpr std::size_t count = 300'001;  // several pieces, the last of which ends within a group
  std::vector<float> x = random_numbers<float>(count, 1);
  for (float& number : x) number *= 20;
  const std::size_t before = ThreadPool::shared().size();
  for (const ElementaryCase& tested : elementary_cases) {
    CAPTURE(tested.name);
    std::vector<float> expected(count);
    for (std::size_t i = 0; i < count; ++i) {
      element_wise_here(tested.function, std::span(x).subspan(i, 1), std::span(expected).subspan(i, 1));
    }
    const auto same = [&](std::span<const float> y) {
      return std::ranges::equal(y, expected, {}, std::bit_cast<std::uint32_t, float>,
                                std::bit_cast<std::uint32_t, float>);
    };
    for (const std::size_t threads : {1U, 2U, 5U}) {
      ThreadPool::shared().resize(threads);
      std::vector<float> y = x;
      element_wise(tested.function, y, y);
      CHECK(same(y));
    }
  }
  ThreadPool::shared().resize(before);
}

TEST_CASE("element-wise functions: of no numbers") {
  element_wise(ElementWise::exp, {}, {});
  element_wise_here(ElementWise::exp, {}, {});
}
