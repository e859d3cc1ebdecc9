#include "core/operator/sandwich.h"

#include <algorithm>

#include "core/linalg/blas.h"
#include "core/linalg/simd.h"
#include "core/threads/parallel.h"

namespace cgfac {
namespace {

using enum SymmetricMatrix::Form;

// Columns or rows that a dense product holds back at a time, for each block of a pass.
constexpr std::size_t rows_held = 8;

std::size_t held_by_block(std::size_t q, std::size_t p) {
  return rows_held * std::max(q, p);
}

// out ← X Y, row-major
void multiply_small(const MatrixView<double>& x, const MatrixView<double>& y, double* out) {
  for (std::size_t i = 0; i < x.rows; ++i) {
    double* const row = out + (i * y.cols);
    std::fill_n(row, y.cols, 0.0);
    for (std::size_t k = 0; k < x.cols; ++k) {
      const double factor = x.data[(i * x.cols) + k];
      for (std::size_t j = 0; j < y.cols; ++j) row[j] += factor * y.data[(k * y.cols) + j];
    }
  }
}

// out ← L X R of small matrices, one of which is dense at the least
void sandwich_small(const SymmetricMatrix& left, const MatrixView<double>& x, const SymmetricMatrix& right,
                    const MatrixView<double>& out, std::span<double> rows) {
  if (left.form == identity) {
    multiply_small(x, right.dense, out.data);
  } else if (right.form == identity) {
    multiply_small(left.dense, x, out.data);
  } else {
    multiply_small(x, right.dense, rows.data());
    multiply_small(left.dense, {rows.data(), x.rows, x.cols}, out.data);
  }
}

// out ← L X, blocks of rows of out
void multiply_left(const MatrixView<double>& left, const MatrixView<double>& x, const MatrixView<double>& out) {
  const Split split = Split::rows(x.rows, x.cols);
  parallel_for(split.blocks(), [&](std::size_t i) {
    blas::gemm(1.0, left.rows_from(split.first(i), split.count(i)), x, 0.0,
               out.rows_from(split.first(i), split.count(i)));
  });
}

// out ← X R, blocks of rows of out
void multiply_right(const MatrixView<double>& x, const MatrixView<double>& right, const MatrixView<double>& out) {
  const Split split = Split::rows(x.rows, x.cols);
  parallel_for(split.blocks(), [&](std::size_t i) {
    blas::gemm(1.0, x.rows_from(split.first(i), split.count(i)), right, 0.0,
               out.rows_from(split.first(i), split.count(i)));
  });
}

// out ← L out, in place, a few columns at a time, which are held back in `rows`
void multiply_left_in_place(const MatrixView<double>& left, const MatrixView<double>& out, std::span<double> rows) {
  const std::size_t held = held_by_block(out.rows, out.cols);
  const Split columns = Split::rows(out.cols, out.rows);
  parallel_for(columns.blocks(), [&](std::size_t i) {
    for (std::size_t done = 0; done < columns.count(i); done += rows_held) {
      const std::size_t count = std::min(rows_held, columns.count(i) - done);
      const MatrixView<double> part = out.columns(columns.first(i) + done, count);
      const MatrixView<double> copy(rows.data() + (i * held), out.rows, count);
      for (std::size_t row = 0; row < out.rows; ++row) {
        for (std::size_t j = 0; j < count; ++j) copy(row, j) = part(row, j);
      }
      blas::gemm(1.0, left, copy, 0.0, part);
    }
  });
}

}  // namespace

std::size_t sandwich_numbers(std::size_t q, std::size_t p) {
  // blocks of rows, or of columns where those of the other side are held back
  return std::max(Split::rows(q, p).blocks(), Split::rows(p, q).blocks()) * held_by_block(q, p);
}

// The first of two products fits into the rows held.
bool is_small(std::size_t q, std::size_t p) {
  return std::min(q, p) <= rows_held && std::max(q, p) <= 2 * rows_held;
}

void sandwich(const SymmetricMatrix& left, const MatrixView<double>& x, const SymmetricMatrix& right,
              const MatrixView<double>& out, std::span<double> rows) {
  if (is_small(x.rows, x.cols) && (left.form == dense || right.form == dense)) {
    sandwich_small(left, x, right, out, rows);
  } else if (left.form == dense && right.form == identity) {
    multiply_left(left.dense, x, out);
  } else if (right.form == dense) {
    multiply_right(x, right.dense, out);
    if (left.form != identity) multiply_left_in_place(left.dense, out, rows);
  } else {
    const Split split = Split::rows(x.rows, x.cols);
    parallel_for(split.blocks(), [&](std::size_t i) {
      sandwich_rows(left, x, right, out, split.first(i), split.first(i + 1), i, rows);
    });
  }
}

void sandwich_rows(const SymmetricMatrix& left, const MatrixView<double>& x, const SymmetricMatrix& right,
                   const MatrixView<double>& out, std::size_t first, std::size_t last, std::size_t block,
                   std::span<double> rows) {
  double* const held = rows.data() + (block * held_by_block(x.rows, x.cols));
  for (std::size_t row = first; row < last; ++row) {
    const double* from = x.data + (row * x.cols);
    double* const to = out.data + (row * x.cols);
    if (left.form == tridiagonal) {
      double* const multiplied = right.form == tridiagonal ? held : to;
      const bool top = row == 0;
      const bool bottom = row + 1 == x.rows;
      simd::tridiagonal_left(x.cols, top ? 0 : left.off_diagonal[row - 1], left.diagonal[row],
                             bottom ? 0 : left.off_diagonal[row], top ? from : from - x.cols, from,
                             bottom ? from : from + x.cols, multiplied);
      from = multiplied;
    }
    if (right.form == tridiagonal) {
      simd::tridiagonal_right(x.cols, right.diagonal.data(), right.off_diagonal.data(), from, to);
    }
  }
}

}  // namespace cgfac
