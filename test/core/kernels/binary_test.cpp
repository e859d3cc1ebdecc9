#include "core/kernels/binary.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "core/base/error.h"
#include "core/threads/thread_pool.h"
#include "support/reference.h"

using namespace cgfac;
using namespace cgfac::test;

namespace {

using Shape = std::vector<std::uint32_t>;

// The shapes of two arrays.
struct Shapes {
  Shape a;
  Shape b;
};

constexpr float unbounded = std::numeric_limits<float>::infinity();
constexpr float unordered = std::numeric_limits<float>::quiet_NaN();

struct BinaryCase {
  const char* name;
  Arithmetic function;
  float (*exact)(float, float);
};

float greater_number(float a, float b) {
  if (std::isnan(a) || std::isnan(b)) return unordered;
  return a == b ? (std::signbit(a) ? b : a) : std::fmax(a, b);
}

float smaller_number(float a, float b) {
  return -greater_number(-a, -b);
}

constexpr std::array<BinaryCase, 8> binary_cases{
    {{"add", Arithmetic::add, [](float a, float b) { return a + b; }},
     {"subtract", Arithmetic::subtract, [](float a, float b) { return a - b; }},
     {"multiply", Arithmetic::multiply, [](float a, float b) { return a * b; }},
     {"divide", Arithmetic::divide, [](float a, float b) { return a / b; }},
     {"maximum", Arithmetic::maximum, greater_number},
     {"minimum", Arithmetic::minimum, smaller_number},
     {"squared_difference", Arithmetic::squared_difference,
      [](float a, float b) {
        const float difference = a - b;
        return difference * difference;
      }},
     {"leaky_relu", Arithmetic::leaky_relu, [](float a, float b) { return a < 0 ? a * b : a; }}}};

bool same_numbers(std::span<const float> x, std::span<const float> y) {
  return std::ranges::equal(x, y, [](float a, float b) {
    return std::bit_cast<std::uint32_t>(a) == std::bit_cast<std::uint32_t>(b) || (std::isnan(a) && std::isnan(b));
  });
}

std::size_t count_of(const Shape& shape) {
  std::size_t count = 1;
  for (const std::uint32_t extent : shape) count *= extent;
  return count;
}

// Calls at(place of the result, place of a, place of b) for each place of two shapes of one rank.
template <typename At>
void for_each_place(const Shape& a, const Shape& b, At at) {
  Shape extents(a.size());
  for (std::size_t axis = 0; axis < a.size(); ++axis) extents[axis] = std::max(a[axis], b[axis]);
  for (std::size_t place = 0; place < count_of(extents); ++place) {
    std::size_t rest = place;
    std::array<std::size_t, 2> from{};
    std::array<std::size_t, 2> step{1, 1};
    for (std::size_t axis = a.size(); axis-- > 0;) {
      const std::size_t along = rest % extents[axis];
      rest /= extents[axis];
      if (a[axis] != 1) from[0] += along * step[0];
      if (b[axis] != 1) from[1] += along * step[1];
      step[0] *= a[axis];
      step[1] *= b[axis];
    }
    at(place, from[0], from[1]);
  }
}

// Each shape of two arrays: of one axis, vectors and columns beside rows, narrow and wide, and axes between.
const std::vector<Shapes> pairs_of_shapes{
    {.a = {}, .b = {}},
    {.a = {1}, .b = {1}},
    {.a = {37}, .b = {37}},
    {.a = {37}, .b = {1}},
    {.a = {1}, .b = {37}},
    {.a = {700, 3}, .b = {1, 3}},
    {.a = {1, 16}, .b = {300, 16}},
    {.a = {700, 3}, .b = {700, 1}},
    {.a = {90, 1}, .b = {1, 5}},
    {.a = {5, 300}, .b = {1, 300}},
    {.a = {5, 300}, .b = {5, 1}},
    {.a = {2, 1, 3, 4}, .b = {2, 5, 1, 4}},
    {.a = {4, 1, 7, 1}, .b = {4, 3, 7, 6}},
    {.a = {3, 200, 1, 130}, .b = {1, 200, 2, 130}},
    {.a = {2, 3, 1, 1}, .b = {1, 1, 4, 5}},
};

}  // namespace

TEST_CASE("functions of two arrays: every function over every form of a broadcast") {
  for (const auto& [shape_a, shape_b] : pairs_of_shapes) {
    const std::vector<float> a = random_numbers<float>(count_of(shape_a), 1);
    const std::vector<float> b = random_numbers<float>(count_of(shape_b), 2);
    const BroadcastPlaces broadcast(shape_a, shape_b);
    CAPTURE(a.size());
    CAPTURE(b.size());
    REQUIRE(broadcast.size_a() == a.size());
    REQUIRE(broadcast.size_b() == b.size());
    for (const BinaryCase& tested : binary_cases) {
      CAPTURE(tested.name);
      std::vector<float> expected(broadcast.size());
      for_each_place(shape_a, shape_b,
                     [&](std::size_t to, std::size_t i, std::size_t j) { expected[to] = tested.exact(a[i], b[j]); });
      std::vector<float> out(broadcast.size(), 7);
      binary(tested.function, broadcast, a.data(), b.data(), out.data());
      CHECK(same_numbers(out, expected));
    }
  }
}

TEST_CASE("functions of two arrays: extents that do not meet, or are too many, are refused") {
  CHECK_THROWS_AS(BroadcastPlaces(Shape{2, 3}, Shape{2, 4}), Error);
  CHECK_THROWS_AS(BroadcastPlaces(Shape{6}, Shape{3}), Error);
  CHECK_THROWS_AS(BroadcastPlaces(Shape{1U << 31U, 1U << 31U, 4}, Shape{1, 1, 1}), Error);
}

TEST_CASE("functions of two arrays: NaN, infinities, zeros of both signs and subnormal numbers") {
  const std::vector<float> numbers{unordered, unbounded, -unbounded, 0.0F,  -0.0F,   1,      -1,
                                   0.3F,      1e-45F,    -1e-45F,    3e38F, -3e38F,  1e-38F, 7,
                                   -7,        0.5F,      -0.5F,      1e20F, -1e-20F, 2,      -2};
  const auto count = static_cast<std::uint32_t>(numbers.size());
  const BroadcastPlaces broadcast(Shape{count, 1}, Shape{1, count});
  for (const BinaryCase& tested : binary_cases) {
    CAPTURE(tested.name);
    std::vector<float> out(broadcast.size());
    binary(tested.function, broadcast, numbers.data(), numbers.data(), out.data());
    std::vector<float> expected;
    for (const float a : numbers) {
      for (const float b : numbers) expected.push_back(tested.exact(a, b));
    }
    CHECK(same_numbers(out, expected));
  }
  const auto check = [&](Comparison relation, bool (*exact)(float, float)) {
    std::vector<std::uint8_t> out(broadcast.size(), 7);
    binary(relation, broadcast, numbers.data(), numbers.data(), out.data());
    for (std::size_t at = 0; at < out.size(); ++at) {
      CHECK(out[at] == static_cast<std::uint8_t>(exact(numbers[at / count], numbers[at % count])));
    }
  };
  check(Comparison::equal, [](float a, float b) { return a == b; });
  check(Comparison::not_equal, [](float a, float b) { return a != b; });
  check(Comparison::less, [](float a, float b) { return a < b; });
  check(Comparison::less_equal, [](float a, float b) { return a <= b; });
  check(Comparison::greater, [](float a, float b) { return a > b; });
  check(Comparison::greater_equal, [](float a, float b) { return a >= b; });
}

TEST_CASE("functions of two arrays: truth values, each true unless it is 0") {
  const std::vector<std::uint8_t> values{0, 1, 2, 255};
  const BroadcastPlaces broadcast(Shape{4, 1}, Shape{1, 4});
  const auto result = [&](Logical function) {
    std::vector<std::uint8_t> out(16, 7);
    binary(function, broadcast, values.data(), values.data(), out.data());
    return out;
  };
  using Bytes = std::vector<std::uint8_t>;
  CHECK(result(Logical::conjunction) == Bytes{0, 0, 0, 0, 0, 1, 1, 1, 0, 1, 1, 1, 0, 1, 1, 1});
  CHECK(result(Logical::disjunction) == Bytes{0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1});
  CHECK(result(Logical::exclusive_disjunction) == Bytes{0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0});
}

TEST_CASE("functions of two arrays: cut into pieces, the same for any number of threads") {
  const std::size_t before = ThreadPool::shared().size();
  const std::vector<Shapes> large{{.a = {300'001}, .b = {300'001}},       {.a = {300'001}, .b = {1}},
                                  {.a = {20'011, 16}, .b = {1, 16}},      {.a = {20'011, 16}, .b = {20'011, 1}},
                                  {.a = {3, 100'003}, .b = {1, 100'003}}, {.a = {7, 1, 211, 203}, .b = {7, 1, 1, 203}}};
  for (const auto& [shape_a, shape_b] : large) {
    const std::vector<float> a = random_numbers<float>(count_of(shape_a), 1);
    const std::vector<float> b = random_numbers<float>(count_of(shape_b), 2);
    const BroadcastPlaces broadcast(shape_a, shape_b);
    std::vector<float> expected(broadcast.size());
    for_each_place(shape_a, shape_b, [&](std::size_t to, std::size_t i, std::size_t j) { expected[to] = a[i] / b[j]; });
    for (const std::size_t threads : {1U, 2U, 5U}) {
      ThreadPool::shared().resize(threads);
      std::vector<float> out(broadcast.size(), 7);
      binary(Arithmetic::divide, broadcast, a.data(), b.data(), out.data());
      CHECK(same_numbers(out, expected));
    }
  }
  ThreadPool::shared().resize(before);
}
