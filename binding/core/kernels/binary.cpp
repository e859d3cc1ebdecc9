#include "core/kernels/binary.h"

#include <algorithm>
#include <array>
#include <bit>

#include "core/kernels/pieces.h"
#include "core/linalg/clones.h"
#include "core/threads/parallel.h"

namespace cgfac {
namespace {

// Numbers along which both arrays have places, or one of them one place for all.
template <typename In, typename Out>
struct Run {
  std::size_t count;
  const In* a;
  std::size_t step_a;
  const In* b;
  std::size_t step_b;
  Out* out;
};

// A plain loop for each form of a run, so that it becomes vector instructions.
template <typename In, typename Out, typename Function>
[[gnu::always_inline]] inline void each(const Run<In, Out>& run, Function function) {
  const std::size_t count = run.count;
  const In* const a = run.a;
  const In* const b = run.b;
  Out* const out = run.out;
  if (run.step_a == 0) {
    const In first = *a;
#pragma omp simd
    for (std::size_t i = 0; i < count; ++i) out[i] = static_cast<Out>(function(first, b[i]));
  } else if (run.step_b == 0) {
    const In second = *b;
#pragma omp simd
    for (std::size_t i = 0; i < count; ++i) out[i] = static_cast<Out>(function(a[i], second));
  } else {
#pragma omp simd
    for (std::size_t i = 0; i < count; ++i) out[i] = static_cast<Out>(function(a[i], b[i]));
  }
}

// The bits of both, or of either: of two zeros these are the greater one and the smaller one.
inline float bits_of_both(float a, float b) {
  return std::bit_cast<float>(std::bit_cast<std::uint32_t>(a) & std::bit_cast<std::uint32_t>(b));
}
inline float bits_of_either(float a, float b) {
  return std::bit_cast<float>(std::bit_cast<std::uint32_t>(a) | std::bit_cast<std::uint32_t>(b));
}

inline float greater_of(float a, float b) {
  const float ordered = a > b ? a : b;
  const float defined = a == b ? bits_of_both(a, b) : ordered;
  return a != a ? a : defined;
}

inline float smaller_of(float a, float b) {
  const float ordered = a < b ? a : b;
  const float defined = a == b ? bits_of_either(a, b) : ordered;
  return a != a ? a : defined;
}

inline float square_of(float x) {
  return x * x;
}

CGFAC_CLONES void compute(Arithmetic function, const Run<float, float>& run) {
  switch (function) {
    case Arithmetic::add:
      each(run, [](float a, float b) { return a + b; });
      return;
    case Arithmetic::subtract:
      each(run, [](float a, float b) { return a - b; });
      return;
    case Arithmetic::multiply:
      each(run, [](float a, float b) { return a * b; });
      return;
    case Arithmetic::divide:
      each(run, [](float a, float b) { return a / b; });
      return;
    case Arithmetic::maximum:
      each(run, greater_of);
      return;
    case Arithmetic::minimum:
      each(run, smaller_of);
      return;
    case Arithmetic::squared_difference:
      each(run, [](float a, float b) { return square_of(a - b); });
      return;
    case Arithmetic::leaky_relu:
      each(run, [](float a, float b) { return a < 0.0F ? a * b : a; });
      return;
  }
}

CGFAC_CLONES void compute(Comparison relation, const Run<float, std::uint8_t>& run) {
  switch (relation) {
    case Comparison::equal:
      each(run, [](float a, float b) { return a == b; });
      return;
    case Comparison::not_equal:
      each(run, [](float a, float b) { return a != b; });
      return;
    case Comparison::less:
      each(run, [](float a, float b) { return a < b; });
      return;
    case Comparison::less_equal:
      each(run, [](float a, float b) { return a <= b; });
      return;
    case Comparison::greater:
      each(run, [](float a, float b) { return a > b; });
      return;
    case Comparison::greater_equal:
      each(run, [](float a, float b) { return a >= b; });
      return;
  }
}

CGFAC_CLONES void compute(Logical function, const Run<std::uint8_t, std::uint8_t>& run) {
  using Byte = std::uint8_t;
  switch (function) {
    case Logical::conjunction:
      each(run, [](Byte a, Byte b) { return static_cast<Byte>(a != 0) & static_cast<Byte>(b != 0); });
      return;
    case Logical::disjunction:
      each(run, [](Byte a, Byte b) { return static_cast<Byte>((a | b) != 0); });
      return;
    case Logical::exclusive_disjunction:
      each(run, [](Byte a, Byte b) { return static_cast<Byte>((a != 0) != (b != 0)); });
      return;
  }
}

// Numbers of a tile, which narrow rows are put together to.
constexpr std::size_t tile_size = 1024;
// Columns from which rows are wide enough to be a run each.
constexpr std::size_t wide = 128;
// What a number costs, in flops of a matrix product: 0.3 ns.
constexpr double flops_of_binary = 20;

// What several narrow rows read of one of the arrays, as one run: the array itself where its rows follow each other,
// else a copy.
template <typename In>
class Tile {
 public:
  Tile(std::size_t columns, std::size_t step_row, std::size_t step_column)
      : columns_(columns), step_row_(step_row), step_column_(step_column) {}

  // `rows` rows that begin at `from`.
  const In* rows(const In* from, std::size_t rows) {
    if (step_row_ != 0 && step_column_ != 0) return from;
    if (step_row_ != 0) {
      for (std::size_t row = 0; row < rows; ++row) {
        std::fill_n(numbers_.begin() + static_cast<std::ptrdiff_t>(row * columns_), columns_, from[row * step_row_]);
      }
    } else if (from != held_ || rows > held_rows_) {
      for (std::size_t row = 0; row < rows; ++row) std::copy_n(from, columns_, numbers_.data() + (row * columns_));
      held_ = from;
      held_rows_ = rows;
    }
    return numbers_.data();
  }

 private:
  std::size_t columns_;
  std::size_t step_row_;
  std::size_t step_column_;
  // the row that the tile repeats, and how often
  const In* held_ = nullptr;
  std::size_t held_rows_ = 0;
  std::array<In, tile_size> numbers_{};
};

// A function and its arrays.
template <typename Function, typename In, typename Out>
struct Job {
  Function function;
  const BroadcastPlaces& shape;
  const In* a;
  const In* b;
  Out* out;

  // Calls rows_at(row, count, where they begin in a and b) for rows that are one after the other along the last axis
  // but one.
  template <typename RowsAt>
  void for_each_block(std::size_t row, std::size_t end, RowsAt rows_at) const {
    const std::size_t extent = shape.row().extent;
    while (row < end) {
      const std::size_t count = std::min(end - row, extent - (row % extent));
      rows_at(row, count, shape.origin(row));
      row += count;
    }
  }

  // Some columns of some rows, each row a run.
  void wide_rows(std::size_t begin, std::size_t end, std::size_t left, std::size_t right) const {
    const BroadcastAxis& next = shape.row();
    const BroadcastAxis& along = shape.columns();
    for_each_block(begin, end, [&](std::size_t row, std::size_t count, const BroadcastPlaces::Origin& at) {
      for (std::size_t i = 0; i < count; ++i) {
        compute(function, Run<In, Out>{.count = right - left,
                                       .a = a + at.a + (i * next.a) + (left * along.a),
                                       .step_a = along.a,
                                       .b = b + at.b + (i * next.b) + (left * along.b),
                                       .step_b = along.b,
                                       .out = out + ((row + i) * along.extent) + left});
      }
    });
  }

  // All columns of some rows, as many of them a run as there is room for.
  void narrow_rows(std::size_t begin, std::size_t end) const {
    const BroadcastAxis& next = shape.row();
    const BroadcastAxis& along = shape.columns();
    const std::size_t group = tile_size / along.extent;
    Tile<In> tile_a(along.extent, next.a, along.a);
    Tile<In> tile_b(along.extent, next.b, along.b);
    for_each_block(begin, end, [&](std::size_t row, std::size_t rows, const BroadcastPlaces::Origin& at) {
      for (std::size_t i = 0; i < rows; i += group) {
        const std::size_t count = std::min(group, rows - i);
        compute(function, Run<In, Out>{.count = count * along.extent,
                                       .a = tile_a.rows(a + at.a + (i * next.a), count),
                                       .step_a = 1,
                                       .b = tile_b.rows(b + at.b + (i * next.b), count),
                                       .step_b = 1,
                                       .out = out + ((row + i) * along.extent)});
      }
    });
  }

  void in_pieces() const {
    const std::size_t rows = shape.rows();
    const std::size_t columns = shape.columns().extent;
    const double flops = flops_of_binary * static_cast<double>(shape.size());
    const std::size_t pieces = flops < worth_pieces ? 1 : most_pieces;
    const bool narrow = shape.row().extent > 1 && columns < wide;
    parallel_for(pieces, flops, [&](std::size_t piece) {
      const std::size_t begin = cut(rows, piece, pieces);
      const std::size_t end = cut(rows, piece + 1, pieces);
      if (narrow) return narrow_rows(begin, end);
      if (rows >= pieces) return wide_rows(begin, end, 0, columns);
      wide_rows(0, rows, cut(columns, piece, pieces), cut(columns, piece + 1, pieces));
    });
  }
};

}  // namespace

// NOLINTBEGIN(readability-non-const-parameter): what a job writes to
void binary(Arithmetic function, const BroadcastPlaces& shape, const float* a, const float* b, float* out) {
  Job<Arithmetic, float, float>{.function = function, .shape = shape, .a = a, .b = b, .out = out}.in_pieces();
}

void binary(Comparison relation, const BroadcastPlaces& shape, const float* a, const float* b, std::uint8_t* out) {
  Job<Comparison, float, std::uint8_t>{.function = relation, .shape = shape, .a = a, .b = b, .out = out}.in_pieces();
}

void binary(Logical function, const BroadcastPlaces& shape, const std::uint8_t* a, const std::uint8_t* b,
            std::uint8_t* out) {
  Job<Logical, std::uint8_t, std::uint8_t>{.function = function, .shape = shape, .a = a, .b = b, .out = out}
      .in_pieces();
}

// NOLINTEND(readability-non-const-parameter)

}  // namespace cgfac
