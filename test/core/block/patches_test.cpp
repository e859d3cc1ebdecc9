#include "core/block/patches.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>
#include <vector>

#include "core/threads/thread_pool.h"
#include "support/kinds.h"
#include "support/patches.h"
#include "support/reference.h"

using namespace cgfac;
using namespace cgfac::test;

namespace {

// One to three axes, with strides, dilations and both paddings, windows wider than the data among them.
std::vector<PatchShape> geometries() {
  std::vector<PatchShape> result;
  for (const bool same : {false, true}) {
    for (const std::size_t stride : {1U, 2U, 3U}) {
      for (const std::size_t dilation : {1U, 2U}) {
        result.push_back(windows({1, 1, 9}, 2, {1, 1, 3}, {1, 1, stride}, {1, 1, dilation}, same));
        result.push_back(windows({1, 6, 7}, 3, {1, 2, 3}, {1, stride, 1}, {1, 1, dilation}, same));
        result.push_back(windows({5, 4, 6}, 2, {3, 2, 2}, {1, stride, 2}, {dilation, 1, 1}, same));
      }
    }
  }
  result.push_back(windows({1, 2, 3}, 1, {1, 5, 4}, {1, 1, 1}, {1, 2, 1}, true));
  result.push_back(windows({1, 1, 1}, 1, {1, 1, 1}, {1, 1, 1}, {1, 1, 1}, false));
  PatchShape uneven = windows({1, 5, 5}, 2, {1, 3, 3}, {1, 2, 1}, {1, 1, 1}, false);
  uneven.pad = {0, 2, 1};  // zeros before and behind, as many as the caller says
  uneven.out = {1, 4, 4};
  result.push_back(uneven);
  return result;
}

// All patches of a sample, one after the other.
std::vector<float> all_patches(const PatchShape& shape, const std::vector<float>& sample) {
  std::vector<float> result;
  each_place(shape.out, [&](const PatchShape::Extents& window) {
    each_place(shape.kernel, [&](const PatchShape::Extents& tap) {
      for (std::size_t c = 0; c < shape.channels; ++c) result.push_back(seen(shape, sample.data(), window, tap, c));
    });
  });
  return result;
}

// Rows that are their own numbers: 0, 1, 2, …
struct Numbered {
  std::size_t samples;
  std::size_t positions;
  std::vector<float> numbers = std::vector<float>(samples * positions);
  SideRows rows{.recorded = {numbers.data(), samples, positions}, .features = 1, .positions = positions};

  Numbered(std::size_t count, std::size_t of_each) : samples(count), positions(of_each) {
    std::iota(numbers.begin(), numbers.end(), 0.0F);
  }
  [[nodiscard]] std::vector<float> drawn(std::size_t most, std::uint64_t stream) const {
    std::vector<float> memory;
    const auto view = rows.drawn(most, stream, memory);
    return {view.data, view.data + view.size()};
  }
};

}  // namespace

TEST_CASE("patches: a patch is what the window sees, zeros beyond the data") {
  for (const PatchShape& shape : geometries()) {
    CAPTURE(shape.size);
    CAPTURE(shape.kernel);
    CAPTURE(shape.strides);
    CAPTURE(shape.dilations);
    const auto sample = random_numbers<float>(shape.sample(), 1);
    std::vector<float> found(shape.positions() * shape.features(), 7.0F);
    for (std::size_t t = 0; t < shape.positions(); ++t)
      copy_patch(shape, sample.data(), t, &found[t * shape.features()]);
    CHECK(found == all_patches(shape, sample));
  }
}

TEST_CASE("patches: a sample's rows are its patches, or lie where they were recorded") {
  const PatchShape shape = windows({1, 4, 5}, 2, {1, 3, 2}, {1, 1, 2}, {1, 1, 1}, true);
  const auto data = random_numbers<float>(2 * shape.sample(), 1);
  const SideRows patches{.recorded = {data.data(), 2, shape.sample()},
                         .features = shape.features(),
                         .positions = shape.positions(),
                         .patches = &shape};
  CHECK(patches.count() == 2 * shape.positions());
  std::vector<float> memory;
  const auto second = patches.of_sample(1, memory);
  const auto half = static_cast<std::ptrdiff_t>(shape.sample());
  CHECK(std::vector<float>(second.data, second.data + second.size()) ==
        all_patches(shape, {data.begin() + half, data.end()}));

  const SideRows lying{.recorded = {data.data(), 2, shape.sample()}, .features = 2, .positions = 20};
  const auto rows = lying.of_sample(1, memory);
  CHECK(rows.data == data.data() + shape.sample());
  CHECK(rows.rows == 20);
  CHECK(rows.cols == 2);
}

TEST_CASE("patches: few rows are all taken in, in their order") {
  const Numbered numbered(3, 4);
  for (const std::size_t most : {12U, 13U, 1000U}) CHECK(numbered.drawn(most, most) == numbered.numbers);
  std::vector<float> memory;
  CHECK(numbered.rows.drawn(12, 0, memory).data == numbered.numbers.data());  // where they lie

  const PatchShape shape = windows({1, 3, 3}, 1, {1, 2, 2}, {1, 1, 1}, {1, 1, 1}, false);
  const auto data = random_numbers<float>(shape.sample(), 1);
  const SideRows patches{
      .recorded = {data.data(), 1, 9}, .features = 4, .positions = shape.positions(), .patches = &shape};
  CHECK(patches.drawn(4, 9, memory).elements().size() == 16);
  CHECK(memory == all_patches(shape, data));
}

TEST_CASE("patches: of many rows one is drawn from each stretch, another one for each stream") {
  const Numbered numbered(7, 11);
  for (const std::size_t most : {1U, 3U, 10U, 76U}) {
    std::set<std::vector<float>> draws;
    for (std::uint64_t stream = 0; stream < 20; ++stream) {
      const std::vector<float> drawn = numbered.drawn(most, stream);
      CHECK(drawn.size() == most);
      CHECK(drawn == numbered.drawn(most, stream));
      const double stretch = 77.0 / static_cast<double>(most);
      for (std::size_t i = 0; i < most; ++i) {
        CHECK(static_cast<double>(drawn[i]) >= std::floor(static_cast<double>(i) * stretch));
        CHECK(static_cast<double>(drawn[i]) < static_cast<double>(i + 1) * stretch);
      }
      draws.insert(drawn);
    }
    CHECK(draws.size() > 12);
  }
}

TEST_CASE("patches: every row is drawn equally often") {
  const Numbered numbered(2, 5);
  constexpr std::size_t draws = 4000;
  std::vector<double> times(10);
  for (std::uint64_t stream = 0; stream < draws; ++stream) {
    for (const float row : numbered.drawn(4, stream)) times[static_cast<std::size_t>(row)] += 1.0 / draws;
  }
  // a share of 0.4 in 4,000 draws has a standard deviation of 0.008
  for (const double share : times) CHECK(share == doctest::Approx(0.4).epsilon(0.1));
}

TEST_CASE("patches: sums are those over all positions, times the factor") {
  const PatchShape shape = windows({1, 6, 7}, 3, {1, 3, 3}, {1, 2, 1}, {1, 1, 1}, true);
  const auto data = random_numbers<float>(4 * shape.sample(), 1);
  const SideRows rows{.recorded = {data.data(), 4, shape.sample()},
                      .features = shape.features(),
                      .positions = shape.positions(),
                      .patches = &shape};
  std::vector<double> expected(4 * rows.features);
  for (std::size_t row = 0; row < rows.count(); ++row) {
    std::vector<float> patch(rows.features);
    rows.copy(row, patch.data());
    for (std::size_t j = 0; j < patch.size(); ++j)
      expected[(row / rows.positions * rows.features) + j] += 0.25 * static_cast<double>(patch[j]);
  }
  std::vector<float> memory;
  CHECK(rows.summed(0.25, memory).rows == 4);
  CHECK(relative_error(memory, expected) <= 1e-7);
}

TEST_CASE("patches: the same bits with any number of threads") {
  const PatchShape shape = windows({1, 40, 40}, 8, {1, 3, 3}, {1, 1, 1}, {1, 1, 1}, true);
  const auto data = random_numbers<float>(3 * shape.sample(), 1);
  const SideRows rows{.recorded = {data.data(), 3, shape.sample()},
                      .features = shape.features(),
                      .positions = shape.positions(),
                      .patches = &shape};
  std::vector<float> drawn;
  std::vector<float> again;
  std::vector<float> sums;
  std::vector<float> sums_again;
  const std::size_t threads = ThreadPool::shared().size();
  (void)rows.drawn(2000, 5, drawn);
  (void)rows.summed(1, sums);
  ThreadPool::shared().resize(1);
  (void)rows.drawn(2000, 5, again);
  (void)rows.summed(1, sums_again);
  ThreadPool::shared().resize(threads);
  CHECK(drawn == again);
  CHECK(sums == sums_again);
}
