#include "core/kernels/reduction.h"

#include <algorithm>
#include <array>
#include <limits>
#include <vector>

#include "core/kernels/pieces.h"
#include "core/linalg/clones.h"
#include "core/threads/parallel.h"

namespace cgfac {
namespace {

// Numbers that are taken in side by side.
constexpr std::size_t abreast = 16;
using Abreast = std::array<float, abreast>;
// Rows whose columns are summed in float32 at once: sixteen times eight.
constexpr std::size_t rows_at_once = 128;
constexpr std::size_t rows_abreast = 8;
// Rows that are shorter are taken side by side, number after number.
constexpr std::size_t wide_row = 128;
constexpr float least = -std::numeric_limits<float>::infinity();
// What a number costs, in flops of a matrix product: 0.2 ns.
constexpr double flops_of_reduced = 16;

// Rows of numbers, `step` apart.
struct Rows {
  std::size_t count;
  std::size_t width;
  std::size_t step;
  const float* x;
};

// totals[j] ← totals[j] + the sum of column j; `block` is as long as a row.
CGFAC_CLONES void add_columns(const Rows& rows, float* block, double* totals) {
  const std::size_t count = rows.count;
  const std::size_t width = rows.width;
  const std::size_t step = rows.step;
  const float* const numbers = rows.x;
  for (std::size_t first = 0; first < count; first += rows_at_once) {
    const std::size_t last = std::min(first + rows_at_once, count);
    std::fill_n(block, width, 0.0F);
    std::size_t i = first;
    for (; i + rows_abreast <= last; i += rows_abreast) {
      const float* const x = numbers + (i * step);
#pragma omp simd
      for (std::size_t j = 0; j < width; ++j) {
        block[j] += ((x[j] + x[j + step]) + (x[j + (2 * step)] + x[j + (3 * step)])) +
                    ((x[j + (4 * step)] + x[j + (5 * step)]) + (x[j + (6 * step)] + x[j + (7 * step)]));
      }
    }
    for (; i < last; ++i) {
      const float* const x = numbers + (i * step);
#pragma omp simd
      for (std::size_t j = 0; j < width; ++j) block[j] += x[j];
    }
#pragma omp simd
    for (std::size_t j = 0; j < width; ++j) totals[j] += static_cast<double>(block[j]);
  }
}

// The sum of numbers, `Lanes` side by side in each of some chains; in the end halves are added until one number is
// left.
template <std::size_t Lanes, std::size_t Chains>
[[gnu::always_inline]] inline float sum_of(const float* x, std::size_t count) {
  std::array<std::array<float, Lanes>, Chains> sums{};
  std::size_t j = 0;
  for (; j + (Chains * Lanes) <= count; j += Chains * Lanes) {
    for (std::size_t chain = 0; chain < Chains; ++chain) {
#pragma omp simd
      for (std::size_t lane = 0; lane < Lanes; ++lane) sums[chain][lane] += x[j + (chain * Lanes) + lane];
    }
  }
  for (; j < count; j += Lanes) {
    for (std::size_t lane = 0; lane < std::min(Lanes, count - j); ++lane) sums[0][lane] += x[j + lane];
  }
  for (std::size_t half = Chains / 2; half > 0; half /= 2) {
    for (std::size_t chain = 0; chain < half; ++chain) {
#pragma omp simd
      for (std::size_t lane = 0; lane < Lanes; ++lane) sums[chain][lane] += sums[chain + half][lane];
    }
  }
  for (std::size_t half = Lanes / 2; half > 0; half /= 2) {
    for (std::size_t lane = 0; lane < half; ++lane) sums[0][lane] += sums[0][lane + half];
  }
  return sums[0][0];
}

// totals[i] ← totals[i] + the sum of row i
CGFAC_CLONES void add_wide_rows(const Rows& rows, double* totals) {
  constexpr std::size_t chains = 4;
  constexpr std::size_t at_once = 16 * chains * abreast;
  for (std::size_t i = 0; i < rows.count; ++i) {
    const float* const x = rows.x + (i * rows.step);
    for (std::size_t first = 0; first < rows.width; first += at_once)
      totals[i] += static_cast<double>(sum_of<abreast, chains>(x + first, std::min(at_once, rows.width - first)));
  }
}

CGFAC_CLONES void add_rows(const Rows& rows, double* totals) {
  for (std::size_t i = 0; i < rows.count; ++i)
    totals[i] += static_cast<double>(sum_of<abreast / 2, 1>(rows.x + (i * rows.step), rows.width));
}

// Rows that are too short to be taken side by side, four of them at a time.
CGFAC_CLONES void add_narrow_rows(const Rows& rows, double* totals) {
  constexpr std::size_t at_once = 4;
  const std::size_t count = rows.count;
  const std::size_t width = rows.width;
  const std::size_t step = rows.step;
  const float* const numbers = rows.x;
  for (std::size_t i = 0; i < count; i += at_once) {
    const std::size_t some = std::min(at_once, count - i);
    std::array<float, at_once> sums{};
    const float* const x = numbers + (i * step);
    if (some == at_once) {
      for (std::size_t j = 0; j < width; ++j) {
        for (std::size_t row = 0; row < at_once; ++row) sums[row] += x[(row * step) + j];
      }
    } else {
      for (std::size_t row = 0; row < some; ++row) {
        for (std::size_t j = 0; j < width; ++j) sums[row] += x[(row * step) + j];
      }
    }
    for (std::size_t row = 0; row < some; ++row) totals[i + row] += static_cast<double>(sums[row]);
  }
}

// The greater of two numbers. A NaN stays: nothing is greater than it.
template <typename T>
[[gnu::always_inline]] inline T greater_of(T maximum, T x) {
  // one that is not x itself is a NaN
  // NOLINTNEXTLINE(misc-redundant-expression)
  return static_cast<int>(x > maximum) | static_cast<int>(x != x) ? x : maximum;
}

[[gnu::always_inline]] inline void raise(double& total, float x) {
  total = greater_of(total, static_cast<double>(x));
}

// totals[j] ← the greatest of totals[j] and column j; `block` is as long as a row.
CGFAC_CLONES void raise_to_columns(const Rows& rows, float* block, double* totals) {
  const std::size_t count = rows.count;
  const std::size_t width = rows.width;
  const std::size_t step = rows.step;
  const float* const numbers = rows.x;
  std::fill_n(block, width, least);
  for (std::size_t i = 0; i < count; ++i) {
    const float* const x = numbers + (i * step);
#pragma omp simd
    for (std::size_t j = 0; j < width; ++j) block[j] = greater_of(block[j], x[j]);
  }
  for (std::size_t j = 0; j < width; ++j) raise(totals[j], block[j]);
}

// totals[i] ← the greatest of totals[i] and row i
CGFAC_CLONES void raise_to_wide_rows(const Rows& rows, double* totals) {
  for (std::size_t i = 0; i < rows.count; ++i) {
    const float* const x = rows.x + (i * rows.step);
    std::array<float, 4 * abreast> maxima;
    maxima.fill(least);
    std::size_t j = 0;
    for (; j + maxima.size() <= rows.width; j += maxima.size()) {
#pragma omp simd
      for (std::size_t lane = 0; lane < maxima.size(); ++lane) maxima[lane] = greater_of(maxima[lane], x[j + lane]);
    }
    for (std::size_t lane = 0; j < rows.width; ++lane, ++j) maxima[lane] = greater_of(maxima[lane], x[j]);
    for (const float maximum : maxima) raise(totals[i], maximum);
  }
}

CGFAC_CLONES void raise_to_narrow_rows(const Rows& rows, double* totals) {
  const std::size_t count = rows.count;
  const std::size_t width = rows.width;
  const std::size_t step = rows.step;
  const float* const numbers = rows.x;
  std::size_t i = 0;
  for (; i + abreast <= count; i += abreast) {
    const float* const x = numbers + (i * step);
    Abreast maxima;
    maxima.fill(least);
    for (std::size_t j = 0; j < width; ++j) {
#pragma omp simd
      for (std::size_t lane = 0; lane < abreast; ++lane) maxima[lane] = greater_of(maxima[lane], x[(lane * step) + j]);
    }
    for (std::size_t lane = 0; lane < abreast; ++lane) raise(totals[i + lane], maxima[lane]);
  }
  for (; i < count; ++i) {
    for (std::size_t j = 0; j < width; ++j) raise(totals[i], numbers[(i * step) + j]);
  }
}

// A part of each axis, from `first` on.
struct Part {
  ReducedExtents first{.outer = 0, .rows = 0, .columns = 0, .inner = 0};
  ReducedExtents extents;
};

// Reduces parts of x.
class Reducer {
 public:
  Reducer(Reduction reduction, const ReducedExtents& extents, std::span<const float> x)
      : maxima_(reduction == Reduction::max), extents_(extents), x_(x) {
    if (reduction == Reduction::mean) divisor_ = static_cast<double>(extents.rows * extents.inner);
  }

  [[nodiscard]] double start() const { return maxima_ ? -std::numeric_limits<double>::infinity() : 0; }
  [[nodiscard]] double joined(double a, double b) const { return maxima_ ? greater_of(a, b) : a + b; }
  [[nodiscard]] float result(double total) const { return static_cast<float>(total / divisor_); }

  using Loop = void (*)(const Rows&, double*);
  [[nodiscard]] Loop raising() const { return extents_.inner < wide_row ? raise_to_narrow_rows : raise_to_wide_rows; }
  [[nodiscard]] Loop adding() const {
    if (extents_.inner >= wide_row) return add_wide_rows;
    return extents_.inner < abreast ? add_narrow_rows : add_rows;
  }

  /// Takes one outer index of a part, the o-th, into a total for each of its columns.
  void take(const Part& part, std::size_t o, std::vector<float>& block, double* totals) const {
    const auto& [first, extents] = part;
    const std::size_t row = ((first.outer + o) * extents_.rows) + first.rows;
    const std::size_t step = extents_.columns * extents_.inner;
    const float* const x = x_.data() + (row * step) + (first.columns * extents_.inner) + first.inner;
    if (extents_.inner == 1) {
      block.resize(extents.columns);
      const Rows rows{.count = extents.rows, .width = extents.columns, .step = step, .x = x};
      (maxima_ ? raise_to_columns : add_columns)(rows, block.data(), totals);
      return;
    }
    const auto loop = maxima_ ? raising() : adding();
    for (std::size_t r = 0; r < extents.rows; ++r) {
      const Rows rows{.count = extents.columns, .width = extents.inner, .step = extents_.inner, .x = x + (r * step)};
      loop(rows, totals);
    }
  }

 private:
  bool maxima_;
  double divisor_ = 1;
  ReducedExtents extents_;
  std::span<const float> x_;
};

// An axis whose parts are one piece of the work each.
using Axis = std::size_t ReducedExtents::*;

Part part_of(const ReducedExtents& extents, Axis axis, std::size_t piece, std::size_t pieces) {
  Part part{.extents = extents};
  part.first.*axis = cut(extents.*axis, piece, pieces);
  part.extents.*axis = cut(extents.*axis, piece + 1, pieces) - part.first.*axis;
  return part;
}

// Pieces along a kept axis: each has results of its own.
void reduce_kept(const Reducer& reducer, const ReducedExtents& extents, Axis axis, std::size_t pieces, double flops,
                 std::span<float> out) {
  parallel_for(pieces, flops, [&](std::size_t piece) {
    const Part part = part_of(extents, axis, piece, pieces);
    std::vector<float> block;
    std::vector<double> totals(part.extents.columns);
    for (std::size_t o = 0; o < part.extents.outer; ++o) {
      std::ranges::fill(totals, reducer.start());
      reducer.take(part, o, block, totals.data());
      float* const to = out.data() + ((part.first.outer + o) * extents.columns) + part.first.columns;
      for (std::size_t j = 0; j < totals.size(); ++j) to[j] = reducer.result(totals[j]);
    }
  });
}

// Pieces along a reduced axis: their totals are joined in turn.
void reduce_reduced(const Reducer& reducer, const ReducedExtents& extents, Axis axis, std::size_t pieces, double flops,
                    std::span<float> out) {
  std::vector<double> totals(pieces * out.size(), reducer.start());
  parallel_for(pieces, flops, [&](std::size_t piece) {
    const Part part = part_of(extents, axis, piece, pieces);
    std::vector<float> block;
    double* const own = totals.data() + (piece * out.size());
    for (std::size_t o = 0; o < extents.outer; ++o) reducer.take(part, o, block, own + (o * extents.columns));
  });
  for (std::size_t at = 0; at < out.size(); ++at) {
    double total = totals[at];
    for (std::size_t piece = 1; piece < pieces; ++piece)
      total = reducer.joined(total, totals[(piece * out.size()) + at]);
    out[at] = reducer.result(total);
  }
}

}  // namespace

void reduce(Reduction reduction, const ReducedExtents& given, std::span<const float> x, std::span<float> out) {
  constexpr std::size_t least_columns = 64;  // four cache lines
  constexpr std::size_t least_inner = 1024;
  // of rows alone all are one block
  const ReducedExtents extents =
      given.rows == 1 ? ReducedExtents{.columns = given.outer * given.columns, .inner = given.inner} : given;
  const Reducer reducer(reduction, extents, x);
  const double flops = flops_of_reduced * static_cast<double>(extents.numbers());
  const std::size_t pieces = flops < worth_pieces ? 1 : most_pieces;
  if (extents.outer >= pieces) {
    reduce_kept(reducer, extents, &ReducedExtents::outer, pieces, flops, out);
  } else if (extents.columns * std::min(extents.inner, least_columns) >= pieces * least_columns) {
    reduce_kept(reducer, extents, &ReducedExtents::columns, pieces, flops, out);
  } else if (extents.rows >= pieces * rows_abreast) {
    reduce_reduced(reducer, extents, &ReducedExtents::rows, pieces, flops, out);
  } else if (extents.inner >= pieces * least_inner) {
    reduce_reduced(reducer, extents, &ReducedExtents::inner, pieces, flops, out);
  } else {
    reduce_kept(reducer, extents, &ReducedExtents::outer, 1, flops, out);
  }
}

}  // namespace cgfac
