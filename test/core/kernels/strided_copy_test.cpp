#include "core/kernels/strided_copy.h"

#include <doctest/doctest.h>

#include <array>
#include <bit>
#include <cstdint>
#include <numeric>
#include <vector>

#include "core/threads/thread_pool.h"

using namespace cgfac;

namespace {

// A different number at each place: as bits, NaNs among them.
std::vector<float> places(std::size_t count) {
  std::vector<float> numbers(count);
  for (std::size_t at = 0; at < count; ++at) numbers[at] = std::bit_cast<float>(0x7f800000U + std::uint32_t(at));
  return numbers;
}

std::uint32_t bits(float number) {
  return std::bit_cast<std::uint32_t>(number);
}

std::size_t last_of(std::span<const CopiedAxis> axes, std::size_t CopiedAxis::* step) {
  return std::accumulate(axes.begin(), axes.end(), std::size_t{0}, [&](std::size_t sum, const CopiedAxis& axis) {
    return sum + ((axis.extent - 1) * (axis.*step));
  });
}

// Number by number.
void copy_simply(std::span<const CopiedAxis> axes, const float* from, float* to) {
  if (axes.empty()) {
    *to = *from;
    return;
  }
  const auto [extent, from_step, to_step] = axes.front();
  for (std::size_t i = 0; i < extent; ++i) copy_simply(axes.subspan(1), from + (i * from_step), to + (i * to_step));
}

void check_copy(std::span<const CopiedAxis> axes) {
  const std::vector<float> from = places(last_of(axes, &CopiedAxis::from_step) + 1);
  std::vector<float> expected(last_of(axes, &CopiedAxis::to_step) + 1, 7);
  std::vector<float> out = expected;
  copy_simply(axes, from.data(), expected.data());
  strided_copy(axes, from.data(), out.data());
  std::size_t wrong = 0;
  for (std::size_t at = 0; at < out.size(); ++at) wrong += bits(out[at]) == bits(expected[at]) ? 0 : 1;
  CHECK(wrong == 0);
}

using Axes = std::vector<CopiedAxis>;

}  // namespace

TEST_CASE("copies: slices, repetitions, transposes and scattered runs") {
  const std::size_t before = ThreadPool::shared().size();
  const std::vector<Axes> copies{
      {},
      {{1, 0, 1}, {1, 5, 1}},
      {{9, 1, 1}},                                            // one run
      {{9, 0, 1}},                                            // one number, repeated
      {{9, 1, 3}},                                            // every third place
      {{5, 8, 3}, {3, 1, 1}},                                 // a slice
      {{5, 3, 8}, {3, 1, 1}},                                 // a part of a concatenation
      {{5, 0, 3}, {3, 1, 1}},                                 // a run, repeated
      {{7, 1, 4}, {4, 0, 1}},                                 // numbers, repeated
      {{2, 0, 24}, {3, 4, 8}, {2, 0, 4}, {4, 1, 1}},          // tiles
      {{33, 1, 50}, {50, 33, 1}},                             // a matrix, transposed
      {{17, 1, 340}, {4, 85, 85}, {5, 17, 17}, {17, 85, 1}},  // the last axis in front
      {{6, 1, 35}, {5, 42, 7}, {7, 6, 1}},                    // the first axis is the run
      {{3, 100, 60}, {5, 2, 12}, {12, 10, 1}},                // no run at all
      {{600, 1, 700}, {700, 600, 1}},                         // large ones: these are cut into pieces
      {{5000, 0, 64}, {64, 1, 1}},
      {{3, 200000, 150000}, {15, 10000, 10000}, {10000, 1, 1}},
      {{300000, 0, 1}},
  };
  for (const std::size_t threads : {1U, 3U}) {
    ThreadPool::shared().resize(threads);
    for (const Axes& axes : copies) check_copy(axes);
  }
  ThreadPool::shared().resize(before);
}

TEST_CASE("copies: rows by their index, in blocks") {
  const std::vector<float> from = places(std::size_t{2} * 3 * 4);
  const std::array<int, 5> ids{2, 0, 0, 1, 2};
  std::vector<float> out(std::size_t{2} * 5 * 4);
  gather_rows({.outer = 2, .rows = 3, .width = 4}, from.data(), ids, out.data());
  for (std::size_t at = 0; at < out.size(); ++at) {
    const auto id = static_cast<std::size_t>(ids.at(at / 4 % 5));
    CHECK(bits(out[at]) == bits(from[(((at / 20 * 3) + id) * 4) + (at % 4)]));
  }
}

TEST_CASE("copies: many rows by their index") {
  const std::vector<float> from = places(std::size_t{500} * 64);
  std::vector<int> ids(5000);
  for (std::size_t at = 0; at < ids.size(); ++at) ids[at] = static_cast<int>(at * 7919 % 500);
  std::vector<float> out(ids.size() * 64);
  gather_rows({.outer = 1, .rows = 500, .width = 64}, from.data(), ids, out.data());
  std::size_t wrong = 0;
  for (std::size_t at = 0; at < out.size(); ++at)
    wrong += bits(out[at]) == bits(from[(static_cast<std::size_t>(ids[at / 64]) * 64) + (at % 64)]) ? 0 : 1;
  CHECK(wrong == 0);
}
