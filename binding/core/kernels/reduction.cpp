#include "core/kernels/reduction.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <vector>

#include "core/kernels/pieces.h"
#include "core/linalg/clones.h"
#include "core/threads/parallel.h"

namespace cgfac {
namespace {

// Numbers that are taken in side by side.
constexpr std::size_t abreast = 16;
using Abreast [[gnu::vector_size(abreast * sizeof(float))]] = float;
// Rows whose sum is taken in float32 at once: sixteen times eight.
constexpr std::size_t rows_at_once = 128;
constexpr std::size_t rows_abreast = 8;
// What a number costs, in flops of a matrix product: 0.2 ns.
constexpr double flops_of_reduced = 16;

// Rows of numbers, `step` apart.
struct Rows {
  std::size_t count;
  std::size_t width;
  std::size_t step;
  const float* x;
};

[[gnu::always_inline]] inline Abreast loaded(const float* x) {
  Abreast numbers;
  std::memcpy(&numbers, x, sizeof numbers);
  return numbers;
}

[[gnu::always_inline]] inline Abreast loaded_part(const float* x, std::size_t count, float filling) {
  Abreast numbers = Abreast{} + filling;
  for (std::size_t lane = 0; lane < count; ++lane) numbers[lane] = x[lane];
  return numbers;
}

// Halves are added until there is one number.
[[gnu::always_inline]] inline double total_of(Abreast sums) {
  for (std::size_t half = abreast / 2; half > 0; half /= 2) {
    for (std::size_t lane = 0; lane < half; ++lane) sums[lane] += sums[lane + half];
  }
  return static_cast<double>(sums[0]);
}

// totals[j] ← totals[j] + the sum of column j; `block` is as long as a row.
CGFAC_CLONES void add_columns(const Rows& rows, float* block, double* totals) {
  for (std::size_t first = 0; first < rows.count; first += rows_at_once) {
    const std::size_t last = std::min(first + rows_at_once, rows.count);
    std::fill_n(block, rows.width, 0.0F);
    std::size_t i = first;
    for (; i + rows_abreast <= last; i += rows_abreast) {
      const float* const x = rows.x + (i * rows.step);
      const std::size_t step = rows.step;
#pragma omp simd
      for (std::size_t j = 0; j < rows.width; ++j) {
        block[j] += ((x[j] + x[j + step]) + (x[j + (2 * step)] + x[j + (3 * step)])) +
                    ((x[j + (4 * step)] + x[j + (5 * step)]) + (x[j + (6 * step)] + x[j + (7 * step)]));
      }
    }
    for (; i < last; ++i) {
      const float* const x = rows.x + (i * rows.step);
#pragma omp simd
      for (std::size_t j = 0; j < rows.width; ++j) block[j] += x[j];
    }
#pragma omp simd
    for (std::size_t j = 0; j < rows.width; ++j) totals[j] += static_cast<double>(block[j]);
  }
}

// totals[i] ← totals[i] + the sum of row i
CGFAC_CLONES void add_rows(const Rows& rows, double* totals) {
  constexpr std::size_t chains = 4;
  constexpr std::size_t at_once = 16 * chains * abreast;
  for (std::size_t i = 0; i < rows.count; ++i) {
    const float* const x = rows.x + (i * rows.step);
    double total = 0;
    for (std::size_t first = 0; first < rows.width; first += at_once) {
      const std::size_t last = std::min(first + at_once, rows.width);
      std::array<Abreast, chains> sums{};
      std::size_t j = first;
      for (; j + (chains * abreast) <= last; j += chains * abreast) {
        for (std::size_t chain = 0; chain < chains; ++chain) sums[chain] += loaded(x + j + (chain * abreast));
      }
      for (; j + abreast <= last; j += abreast) sums[0] += loaded(x + j);
      if (j < last) sums[1] += loaded_part(x + j, last - j, 0);
      total += total_of((sums[0] + sums[1]) + (sums[2] + sums[3]));
    }
    totals[i] += total;
  }
}

// A NaN stays: nothing is greater than it.
[[gnu::always_inline]] inline Abreast greater_of(Abreast maxima, Abreast x) {
  return (x > maxima) | (x != x) ? x : maxima;
}

[[gnu::always_inline]] inline double greater_of(double maximum, double x) {
  return x > maximum || x != x ? x : maximum;
}

// totals[j] ← the greatest of totals[j] and column j
CGFAC_CLONES void raise_to_columns(const Rows& rows, double* totals) {
  for (std::size_t j = 0; j < rows.width; j += abreast) {
    const std::size_t width = std::min(abreast, rows.width - j);
    Abreast maxima = Abreast{} - std::numeric_limits<float>::infinity();
    for (std::size_t i = 0; i < rows.count; ++i) {
      const float* const x = rows.x + (i * rows.step) + j;
      maxima = greater_of(maxima, width == abreast ? loaded(x) : loaded_part(x, width, 0));
    }
    for (std::size_t lane = 0; lane < width; ++lane)
      totals[j + lane] = greater_of(totals[j + lane], static_cast<double>(maxima[lane]));
  }
}

// totals[i] ← the greatest of totals[i] and row i
CGFAC_CLONES void raise_to_rows(const Rows& rows, double* totals) {
  constexpr float least = -std::numeric_limits<float>::infinity();
  for (std::size_t i = 0; i < rows.count; ++i) {
    const float* const x = rows.x + (i * rows.step);
    Abreast maxima = Abreast{} + least;
    std::size_t j = 0;
    for (; j + abreast <= rows.width; j += abreast) maxima = greater_of(maxima, loaded(x + j));
    if (j < rows.width) maxima = greater_of(maxima, loaded_part(x + j, rows.width - j, least));
    for (std::size_t half = abreast / 2; half > 0; half /= 2) {
      for (std::size_t lane = 0; lane < half; ++lane) {
        const float other = maxima[lane + half];
        if (other > maxima[lane] || other != other) maxima[lane] = other;
      }
    }
    totals[i] = greater_of(totals[i], static_cast<double>(maxima[0]));
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

  /// Takes one outer index of a part, the o-th, into a total for each of its columns.
  void take(const Part& part, std::size_t o, std::vector<float>& block, double* totals) const {
    const auto& [first, extents] = part;
    const std::size_t row = ((first.outer + o) * extents_.rows) + first.rows;
    const std::size_t step = extents_.columns * extents_.inner;
    const float* const x = x_.data() + (row * step) + (first.columns * extents_.inner) + first.inner;
    if (extents_.inner == 1) {
      block.resize(extents.columns);
      const Rows rows{.count = extents.rows, .width = extents.columns, .step = step, .x = x};
      maxima_ ? raise_to_columns(rows, totals) : add_columns(rows, block.data(), totals);
      return;
    }
    for (std::size_t r = 0; r < extents.rows; ++r) {
      const Rows rows{.count = extents.columns, .width = extents.inner, .step = extents_.inner, .x = x + (r * step)};
      maxima_ ? raise_to_rows(rows, totals) : add_rows(rows, totals);
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

void reduce(Reduction reduction, const ReducedExtents& extents, std::span<const float> x, std::span<float> out) {
  constexpr std::size_t least_columns = 64;  // four cache lines
  constexpr std::size_t least_inner = 1024;
  const Reducer reducer(reduction, extents, x);
  const double flops = flops_of_reduced * static_cast<double>(extents.numbers());
  const std::size_t pieces = flops < worth_pieces ? 1 : most_pieces;
  if (extents.outer >= pieces) return reduce_kept(reducer, extents, &ReducedExtents::outer, pieces, flops, out);
  if (extents.columns * std::min(extents.inner, least_columns) >= pieces * least_columns)
    return reduce_kept(reducer, extents, &ReducedExtents::columns, pieces, flops, out);
  if (extents.rows >= pieces * rows_abreast)
    return reduce_reduced(reducer, extents, &ReducedExtents::rows, pieces, flops, out);
  if (extents.inner >= pieces * least_inner)
    return reduce_reduced(reducer, extents, &ReducedExtents::inner, pieces, flops, out);
  reduce_kept(reducer, extents, &ReducedExtents::outer, 1, flops, out);
}

}  // namespace cgfac
