#include "core/kernels/strided_copy.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "core/kernels/pieces.h"
#include "core/threads/parallel.h"

namespace cgfac {
namespace {

// What a number costs, in flops of a matrix product: 0.2 ns.
constexpr double flops_of_copied = 16;

using Four [[gnu::vector_size(4 * sizeof(float))]] = float;

[[gnu::always_inline]] inline Four four_at(const float* x) {
  Four numbers;
  std::memcpy(&numbers, x, sizeof numbers);
  return numbers;
}

// The transpose of a square whose rows are so far apart, four rows and four columns at a time.
template <std::size_t Side>
void transpose_square(std::size_t from_step, const float* from, std::size_t to_step, float* to) {
  for (std::size_t i = 0; i < Side; i += 4) {
    for (std::size_t j = 0; j < Side; j += 4) {
      const float* const x = from + (j * from_step) + i;
      float* const y = to + (i * to_step) + j;
      const Four a = four_at(x);
      const Four b = four_at(x + from_step);
      const Four c = four_at(x + (2 * from_step));
      const Four d = four_at(x + (3 * from_step));
      const Four low_ab = __builtin_shufflevector(a, b, 0, 4, 1, 5);
      const Four high_ab = __builtin_shufflevector(a, b, 2, 6, 3, 7);
      const Four low_cd = __builtin_shufflevector(c, d, 0, 4, 1, 5);
      const Four high_cd = __builtin_shufflevector(c, d, 2, 6, 3, 7);
      const std::array<Four, 4> columns{
          __builtin_shufflevector(low_ab, low_cd, 0, 1, 4, 5), __builtin_shufflevector(low_ab, low_cd, 2, 3, 6, 7),
          __builtin_shufflevector(high_ab, high_cd, 0, 1, 4, 5), __builtin_shufflevector(high_ab, high_cd, 2, 3, 6, 7)};
      for (std::size_t row = 0; row < columns.size(); ++row)
        std::memcpy(y + (row * to_step), &columns[row], sizeof columns[row]);
    }
  }
}

// The axes of a copy, those of one number left out, neighbours that are one run of numbers joined.
class Copy {
 public:
  explicit Copy(std::span<const CopiedAxis> axes) {
    for (const CopiedAxis& axis : axes) {
      if (axis.extent != 1) append(axis);
    }
    while (rank_ < 2) {
      std::ranges::copy_backward(std::span(axes_).first(axes_.size() - 1), axes_.end());
      axes_[0] = {.extent = 1, .from_step = 0, .to_step = 0};
      ++rank_;
    }
    bring_inwards();
  }

  [[nodiscard]] std::span<CopiedAxis> axes() { return {axes_.data(), rank_}; }

  void run(const float* from, float* to) const { run(0, from, to); }

 private:
  void append(const CopiedAxis& axis) {
    if (rank_ > 0) {
      CopiedAxis& outer = axes_[rank_ - 1];
      if (outer.from_step == axis.extent * axis.from_step && outer.to_step == axis.extent * axis.to_step) {
        outer = {.extent = outer.extent * axis.extent, .from_step = axis.from_step, .to_step = axis.to_step};
        return;
      }
    }
    axes_[rank_++] = axis;
  }

  // Where the innermost axis is no run of `from`, the one that is becomes its neighbour.
  void bring_inwards() {
    if (axes_[rank_ - 1].from_step <= 1) return;
    const std::span<CopiedAxis> outer = axes().first(rank_ - 1);
    const auto run = std::ranges::find(outer, 1U, &CopiedAxis::from_step);
    if (run != outer.end()) std::rotate(run, run + 1, outer.end());
  }

  void run(std::size_t axis, const float* from, float* to) const {
    if (axis + 2 == rank_) {
      copy_rows(from, to);
      return;
    }
    const auto [extent, from_step, to_step] = axes_[axis];
    for (std::size_t i = 0; i < extent; ++i) run(axis + 1, from + (i * from_step), to + (i * to_step));
  }

  // The two innermost axes.
  void copy_rows(const float* from, float* to) const {
    const CopiedAxis& rows = axes_[rank_ - 2];
    const CopiedAxis& row = axes_[rank_ - 1];
    if (row.to_step == 1 && row.from_step == 1) {
      if (rows.from_step == 0 && rows.to_step == row.extent) {
        repeat(rows.extent, row.extent, from, to);
        return;
      }
      for (std::size_t i = 0; i < rows.extent; ++i)
        std::memcpy(to + (i * rows.to_step), from + (i * rows.from_step), row.extent * sizeof(float));
    } else if (row.to_step == 1 && row.from_step == 0) {
      for (std::size_t i = 0; i < rows.extent; ++i)
        std::fill_n(to + (i * rows.to_step), row.extent, from[i * rows.from_step]);
    } else {
      copy_blocks(rows, row, from, to);
    }
  }

  // One run again and again: what was written already is read, from the cache.
  static void repeat(std::size_t times, std::size_t length, const float* from, float* to) {
    constexpr std::size_t most_read = 4096;
    const std::size_t all = times * length;
    std::memcpy(to, from, length * sizeof(float));
    std::size_t written = length;
    while (written < all) {
      const std::size_t whole = std::max(most_read / length, std::size_t{1}) * length;
      const std::size_t next = std::min({written, whole, all - written});
      std::memcpy(to + written, to, next * sizeof(float));
      written += next;
    }
  }

  // Squares, so that the cache lines of either array are used whole.
  static void copy_blocks(const CopiedAxis& rows, const CopiedAxis& row, const float* from, float* to) {
    constexpr std::size_t side = 16;
    const bool transposed = rows.from_step == 1 && row.to_step == 1;
    for (std::size_t first_i = 0; first_i < rows.extent; first_i += side) {
      const std::size_t count_i = std::min(side, rows.extent - first_i);
      for (std::size_t first_j = 0; first_j < row.extent; first_j += side) {
        const std::size_t count_j = std::min(side, row.extent - first_j);
        const float* const x = from + (first_i * rows.from_step) + (first_j * row.from_step);
        float* const y = to + (first_i * rows.to_step) + (first_j * row.to_step);
        if (transposed && count_i == side && count_j == side) {
          transpose_square<side>(row.from_step, x, rows.to_step, y);
        } else {
          for (std::size_t i = 0; i < count_i; ++i) {
            for (std::size_t j = 0; j < count_j; ++j)
              y[(i * rows.to_step) + (j * row.to_step)] = x[(i * rows.from_step) + (j * row.from_step)];
          }
        }
      }
    }
  }

  std::array<CopiedAxis, most_copied_axes + 2> axes_{};
  std::size_t rank_ = 0;
};

}  // namespace

void strided_copy(std::span<const CopiedAxis> axes, const float* from, float* to) {
  Copy copy(axes);
  double flops = flops_of_copied;
  for (const CopiedAxis& axis : axes) flops *= static_cast<double>(axis.extent);
  if (flops < worth_pieces) {
    copy.run(from, to);
    return;
  }
  // the longest axis: pieces of a transpose are then runs of its squares
  const std::span<CopiedAxis> all = copy.axes();
  const auto split = std::ranges::max_element(all, {}, &CopiedAxis::extent);
  const auto which = static_cast<std::size_t>(split - all.begin());
  const CopiedAxis whole = *split;
  const std::size_t pieces = std::min(most_pieces, whole.extent);
  parallel_for(pieces, flops, [&](std::size_t piece) {
    const std::size_t first = cut(whole.extent, piece, pieces);
    Copy part = copy;
    part.axes()[which].extent = cut(whole.extent, piece + 1, pieces) - first;
    part.run(from + (first * whole.from_step), to + (first * whole.to_step));
  });
}

void gather_rows(const GatheredRows& shape, const float* from, std::span<const int> ids, float* to) {
  const std::size_t count = shape.outer * ids.size();
  const double flops = flops_of_copied * static_cast<double>(count * shape.width);
  const std::size_t pieces = flops < worth_pieces ? 1 : std::min(most_pieces, count);
  parallel_for(pieces, flops, [&](std::size_t piece) {
    for (std::size_t at = cut(count, piece, pieces); at < cut(count, piece + 1, pieces); ++at) {
      const std::size_t block = at / ids.size();
      const auto id = static_cast<std::size_t>(ids[at - (block * ids.size())]);
      std::memcpy(to + (at * shape.width), from + (((block * shape.rows) + id) * shape.width),
                  shape.width * sizeof(float));
    }
  });
}

}  // namespace cgfac
