// Kernels on arrays of any numbers: what single operations make is exact, bit for bit, what sums make is right within
// their rounding, and nothing is read or written beyond an array.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "core/base/error.h"
#include "core/kernels/batch_normalization.h"
#include "core/kernels/binary.h"
#include "core/kernels/cast.h"
#include "core/kernels/element_wise.h"
#include "core/kernels/reduction.h"
#include "core/kernels/segment_sum.h"
#include "core/kernels/select.h"
#include "core/kernels/strided_copy.h"
#include "support/draws.h"
#include "support/elementary.h"
#include "support/target.h"
#include "support/verdict.h"

namespace cgfac::fuzz {
namespace {

/// Whether a result is that of float32: equal bits, or NaN both.
bool same(float found, float expected) {
  return std::bit_cast<std::uint32_t>(found) == std::bit_cast<std::uint32_t>(expected) ||
         (std::isnan(found) && std::isnan(expected));
}

float maximum(float a, float b) {
  if (std::isnan(a) || std::isnan(b)) return std::numeric_limits<float>::quiet_NaN();
  if (a == b) return std::signbit(a) ? b : a;
  return a > b ? a : b;
}

float arithmetic(Arithmetic function, float a, float b) {
  switch (function) {
    case Arithmetic::add:
      return a + b;
    case Arithmetic::subtract:
      return a - b;
    case Arithmetic::multiply:
      return a * b;
    case Arithmetic::divide:
      return a / b;
    case Arithmetic::maximum:
      return maximum(a, b);
    case Arithmetic::minimum:
      return -maximum(-a, -b);
    case Arithmetic::squared_difference:
      return (a - b) * (a - b);
    case Arithmetic::leaky_relu:
      return a < 0 ? a * b : a;
  }
  return 0;
}

bool relation(Comparison comparison, float a, float b) {
  switch (comparison) {
    case Comparison::equal:
      return a == b;
    case Comparison::not_equal:
      return a != b;
    case Comparison::less:
      return a < b;
    case Comparison::less_equal:
      return a <= b;
    case Comparison::greater:
      return a > b;
    case Comparison::greater_equal:
      return a >= b;
  }
  return false;
}

/// Where a place of a result has its number in an array that is broadcast.
std::size_t place_of(std::size_t index, std::span<const std::uint32_t> shape, std::span<const std::uint32_t> result) {
  std::size_t place = 0;
  std::size_t step = 1;
  for (std::size_t axis = shape.size(); axis-- > 0;) {
    if (shape[axis] > 1) place += (index % result[axis]) * step;
    index /= result[axis];
    step *= shape[axis];
  }
  return place;
}

void run_binary(Draws& draws) {
  const std::size_t rank = draws.size(4);
  std::vector<std::uint32_t> a;
  std::vector<std::uint32_t> b;
  std::vector<std::uint32_t> result;
  for (std::size_t axis = 0; axis < rank; ++axis) {
    const auto extent = static_cast<std::uint32_t>(draws.size(5));
    const std::size_t how = draws.below(8);
    a.push_back(how == 1 ? 1 : extent);
    b.push_back(how == 2 ? 1 : how == 3 ? extent + 1 : extent);
    result.push_back(std::max(a.back(), b.back()));
  }
  bool fits = true;
  for (std::size_t axis = 0; axis < rank; ++axis) fits = fits && (a[axis] == b[axis] || a[axis] == 1 || b[axis] == 1);
  try {
    const BroadcastPlaces places(a, b);
    require(fits, "shapes that do not meet are an error");
    const std::vector<float> x = draws.numbers(places.size_a());
    const std::vector<float> y = draws.numbers(places.size_b());
    std::vector<float> numbers(places.size());
    const auto function = static_cast<Arithmetic>(draws.below(8));
    binary(function, places, x.data(), y.data(), numbers.data());
    std::vector<std::uint8_t> truths(places.size());
    const auto comparison = static_cast<Comparison>(draws.below(6));
    binary(comparison, places, x.data(), y.data(), truths.data());
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      const float p = x[place_of(i, a, result)];
      const float q = y[place_of(i, b, result)];
      require(same(numbers[i], arithmetic(function, p, q)), "a function of two arrays is that of their numbers");
      require(truths[i] == (relation(comparison, p, q) ? 1 : 0), "a relation is that of the numbers");
    }
  } catch (const Error& error) {
    require(!fits && error.code() == ErrorCode::shape_mismatch, "shapes that meet are no error");
  }
}

void run_reduction(Draws& draws) {
  const ReducedExtents extents{
      .outer = draws.size(3), .rows = draws.size(20), .columns = draws.size(5), .inner = draws.size(20)};
  const std::vector<float> x = draws.numbers(extents.numbers());
  std::vector<double> sums(extents.results());
  std::vector<double> sizes(extents.results());
  std::vector<float> most(extents.results(), -std::numeric_limits<float>::infinity());
  for (std::size_t i = 0; i < x.size(); ++i) {
    const std::size_t at = (i / (extents.inner * extents.columns * extents.rows) * extents.columns) +
                           (i / extents.inner % extents.columns);
    sums[at] += static_cast<double>(x[i]);
    if (std::isfinite(x[i])) sizes[at] += std::abs(static_cast<double>(x[i]));
    most[at] = maximum(most[at], x[i]);
  }
  std::vector<float> found(extents.results());
  reduce(Reduction::max, extents, x, found);
  for (std::size_t i = 0; i < found.size(); ++i)
    require(found[i] == most[i] || same(found[i], most[i]), "a maximum is the greatest number");
  for (const Reduction reduction : {Reduction::sum, Reduction::mean}) {
    reduce(reduction, extents, x, found);
    const double count = reduction == Reduction::mean ? static_cast<double>(extents.rows * extents.inner) : 1;
    for (std::size_t i = 0; i < found.size(); ++i) {
      // finite numbers whose sums leave the range of float32 are not followed
      if (!(sizes[i] <= static_cast<double>(std::numeric_limits<float>::max()))) continue;
      if (std::isnan(sums[i])) require(std::isnan(found[i]), "a sum with NaN is NaN");
      if (std::isinf(sums[i])) require(static_cast<double>(found[i]) == sums[i], "a sum with an infinity is one");
      if (!std::isfinite(sums[i])) continue;
      require_within(std::abs((static_cast<double>(found[i]) * count) - sums[i]),
                     (128 * 0x1p-24 * sizes[i]) + (count * 0x1p-149), "the error of a sum");
    }
  }
}

void run_copies(Draws& draws) {
  const std::size_t rank = draws.size(4);
  std::vector<CopiedAxis> axes;
  std::size_t numbers = 1;
  std::size_t from_size = 1;
  for (std::size_t axis = 0; axis < rank; ++axis) {
    const CopiedAxis each{.extent = draws.size(5), .from_step = draws.below(7), .to_step = 1};
    numbers *= each.extent;
    from_size += (each.extent - 1) * each.from_step;
    axes.push_back(each);
  }
  std::size_t step = draws.size(3);  // gaps between the numbers, which are left as they are
  const std::size_t gap = step;
  for (std::size_t axis = rank; axis-- > 0;) {
    axes[axis].to_step = step;
    step *= axes[axis].extent;
  }
  const std::vector<float> from = draws.numbers(from_size);
  const std::vector<float> before = test::random_numbers<float>(((numbers - 1) * gap) + 1, 7);
  std::vector<float> to = before;
  strided_copy(axes, from.data(), to.data());
  for (std::size_t i = 0; i < to.size(); ++i) {
    std::size_t place = 0;
    std::size_t index = i / gap;
    for (std::size_t axis = rank; axis-- > 0; index /= axes[axis].extent)
      place += index % axes[axis].extent * axes[axis].from_step;
    require(same(to[i], i % gap == 0 ? from[place] : before[i]), "a copy is its numbers, and nothing else");
  }
}

void run_segments(Draws& draws) {
  const std::size_t rows = draws.size(12);
  const std::size_t width = draws.size(40);
  const std::size_t segments = draws.size(6);
  const std::vector<float> x = draws.numbers(rows * width);
  std::vector<std::int32_t> ids;
  std::vector<int> kept;
  for (std::size_t i = 0; i < rows; ++i) {
    ids.push_back(draws.below(8) == 0 ? std::numeric_limits<std::int32_t>::min()
                                      : static_cast<std::int32_t>(draws.below(segments + 2)) - 1);
    kept.push_back(static_cast<int>(draws.below(rows)));
  }
  std::vector<float> sums(segments * width);
  segment_sum(x, ids, width, sums);
  std::vector<float> expected(sums.size());
  for (std::size_t i = 0; i < rows; ++i) {
    if (ids[i] < 0 || static_cast<std::size_t>(ids[i]) >= segments) continue;
    for (std::size_t j = 0; j < width; ++j)
      expected[(static_cast<std::size_t>(ids[i]) * width) + j] += x[(i * width) + j];
  }
  for (std::size_t i = 0; i < sums.size(); ++i)
    require(sums[i] == expected[i] || same(sums[i], expected[i]), "segments are summed in their order");
  std::vector<float> gathered(rows * width);
  gather_rows({.outer = 1, .rows = rows, .width = width}, x.data(), kept, gathered.data());
  for (std::size_t i = 0; i < gathered.size(); ++i)
    require(same(gathered[i], x[(static_cast<std::size_t>(kept[i / width]) * width) + (i % width)]),
            "gathered rows are those of the ids");
}

/// ToInt32 of ECMAScript: towards 0, modulo 2^32.
std::int32_t integer(float x) {
  if (!std::isfinite(x)) return 0;
  const double whole = std::fmod(std::trunc(static_cast<double>(x)), 0x1p32);
  return static_cast<std::int32_t>(static_cast<std::uint32_t>(static_cast<std::int64_t>(whole)));
}

void run_element_wise(Draws& draws) {
  const std::size_t count = draws.size(80);
  const std::vector<float> x = draws.numbers(count);
  const test::ElementaryCase& tested = draws.among(test::elementary_cases);
  std::vector<float> y(count);
  element_wise(tested.function, x, y);
  std::vector<std::int32_t> integers(count);
  cast(x, integers);
  std::vector<std::uint8_t> truths(count);
  cast(x, truths);
  const std::vector<float> other = draws.numbers(count);
  std::vector<float> selected(count);
  select(truths, x, other, selected);
  for (std::size_t i = 0; i < count; ++i) {
    require_within(test::error_of(y[i], tested.exact(static_cast<double>(x[i]))), 3, tested.name);
    require(integers[i] == integer(x[i]), "an integer is ToInt32 of a number");
    require(truths[i] == (x[i] == 0 ? 0 : 1), "0 alone is false");
    require(same(selected[i], truths[i] != 0 ? x[i] : other[i]), "a choice has the bits of what is chosen");
  }
  // the same bits at every place
  const std::size_t first = draws.below(count);
  std::vector<float> part(count - first);
  element_wise(tested.function, std::span(x).subspan(first), part);
  for (std::size_t i = 0; i < part.size(); ++i) require(same(part[i], y[first + i]), "a number's bits have no place");
}

void run_normalization(Draws& draws) {
  const std::size_t width = draws.size(20);
  const std::size_t rows = draws.size(6);
  const std::vector<float> x = draws.numbers(rows * width);
  const std::vector<float> mean = draws.numbers(width);
  std::vector<float> variance = draws.numbers(width);
  for (float& each : variance) each = std::abs(each);
  const std::vector<float> scale = draws.numbers(width);
  const std::vector<float> offset = draws.numbers(width);
  const bool scaled = draws.flag();
  const bool shifted = draws.flag();
  ColumnStatistics of{.mean = mean, .variance = variance, .scale = {}, .offset = {}, .epsilon = 1e-3};
  if (scaled) of.scale = scale;
  if (shifted) of.offset = offset;
  std::vector<float> out(x.size());
  batch_normalization(of, x, out);
  for (std::size_t i = 0; i < x.size(); ++i) {
    const std::size_t j = i % width;
    const double factor =
        (scaled ? static_cast<double>(scale[j]) : 1) / std::sqrt(static_cast<double>(variance[j]) + of.epsilon);
    const double centred = static_cast<double>(x[i]) - static_cast<double>(mean[j]);
    const double moved = shifted ? static_cast<double>(offset[j]) : 0;
    const double size = std::abs(centred * factor) + std::abs(moved);
    // what leaves the range of float32 on the way is not followed
    if (!(std::max({size, std::abs(centred), std::abs(factor)}) <= 1e38)) continue;
    const double subnormal = 0x1p-149 * (1 + std::abs(centred) + std::abs(factor));
    require_within(std::abs(static_cast<double>(out[i]) - ((centred * factor) + moved)),
                   (4 * 0x1p-24 * size) + subnormal, "the error of a normalised number");
  }
}

}  // namespace

void run(Draws draws) {
  constexpr std::array kernels{run_binary,   run_reduction,    run_copies,
                               run_segments, run_element_wise, run_normalization};
  kernels[draws.below(kernels.size())](draws);
}

}  // namespace cgfac::fuzz
