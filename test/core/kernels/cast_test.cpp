#include "core/kernels/cast.h"

#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "core/kernels/select.h"
#include "core/threads/thread_pool.h"
#include "support/reference.h"

using namespace cgfac;
using namespace cgfac::test;

namespace {

constexpr float endless = std::numeric_limits<float>::infinity();
constexpr float undefined_number = std::numeric_limits<float>::quiet_NaN();
constexpr std::int32_t least_integer = std::numeric_limits<std::int32_t>::min();

}  // namespace

TEST_CASE("casts: to integers as JavaScript has them, wherever they stand in an array") {
  const std::vector<float> x{2.7F,           -2.7F,   0.0F,           -0.0F,           2147483520.0F, 2147483648.0F,
                             -2147483648.0F, 1e-45F,  -2147483904.0F, 4294967296.0F,   4294967808.0F, 1e20F,
                             -3e9F,          endless, -endless,       undefined_number};
  const std::vector<std::int32_t> expected{
      2, -2, 0, 0, 2147483520, least_integer, least_integer, 0, 2147483392, 0, 512, 0, 1294967296, 0, 0, 0};
  std::vector<std::int32_t> out(x.size(), 7);
  cast(x, out);
  CHECK(out == expected);
  for (std::size_t i = 0; i < x.size(); ++i) {
    std::vector<float> one(37, 1.5F);
    one[i] = x[i];
    std::vector<std::int32_t> among(37);
    cast(one, among);
    for (std::size_t j = 0; j < among.size(); ++j) CHECK(among[j] == (j == i ? expected[i] : 1));
  }
}

TEST_CASE("casts: to truth values, 1 of all that is not 0") {
  const std::array<float, 8> x{0.0F, -0.0F, 0.5F, -1, 256, 1e-45F, endless, undefined_number};
  std::array<std::uint8_t, 8> out{};
  cast(x, out);
  CHECK(out == std::array<std::uint8_t, 8>{0, 0, 1, 1, 1, 1, 1, 1});
  const std::array<std::int32_t, 4> integers{0, 1, -256, least_integer};
  std::array<std::uint8_t, 4> truths{};
  cast(integers, truths);
  CHECK(truths == std::array<std::uint8_t, 4>{0, 1, 1, 1});
}

TEST_CASE("casts and choices: cut into pieces, the same for any number of threads") {
  constexpr std::size_t count = 300'001;
  std::vector<float> x = random_numbers<float>(count, 1);
  for (float& number : x) number = std::trunc(number * 3) / 2;
  const std::vector<float> y = random_numbers<float>(count, 2);
  const std::size_t before = ThreadPool::shared().size();
  for (const std::size_t threads : {1U, 2U, 5U}) {
    ThreadPool::shared().resize(threads);
    std::vector<std::int32_t> integers(count, 7);
    std::vector<std::uint8_t> truths(count, 7);
    std::vector<float> chosen(count, 7);
    cast(x, integers);
    cast(x, truths);
    select(truths, x, y, chosen);
    std::size_t wrong = 0;
    for (std::size_t i = 0; i < count; ++i) {
      const bool right = integers[i] == static_cast<std::int32_t>(x[i]) && truths[i] == (x[i] != 0 ? 1 : 0) &&
                         chosen[i] == (x[i] != 0 ? x[i] : y[i]);
      if (!right) ++wrong;
    }
    CHECK(wrong == 0);
  }
  ThreadPool::shared().resize(before);
}

TEST_CASE("choices: of floats, integers and truth values, by a condition that is any number but 0") {
  const std::array<std::uint8_t, 4> condition{0, 1, 2, 255};
  std::array<float, 4> floats{};
  select(condition, std::array<float, 4>{1, 2, 3, endless}, std::array<float, 4>{-0.0F, 5, 6, undefined_number},
         floats);
  CHECK(floats == std::array<float, 4>{0, 2, 3, endless});
  CHECK(std::signbit(floats[0]));
  std::array<std::int32_t, 4> integers{};
  select(condition, std::array<std::int32_t, 4>{1, 2, 3, least_integer}, std::array<std::int32_t, 4>{16777217, 5, 6, 7},
         integers);
  CHECK(integers == std::array<std::int32_t, 4>{16777217, 2, 3, least_integer});
  std::array<std::uint8_t, 4> truths{};
  select(condition, std::array<std::uint8_t, 4>{0, 0, 1, 1}, std::array<std::uint8_t, 4>{1, 1, 0, 0}, truths);
  CHECK(truths == std::array<std::uint8_t, 4>{1, 0, 1, 1});
}
