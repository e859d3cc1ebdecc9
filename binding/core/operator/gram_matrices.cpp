#include "core/operator/gram_matrices.h"

#include "core/base/arena.h"
#include "core/linalg/blas.h"
#include "core/threads/parallel.h"

namespace cgfac {
namespace {

FactorForm gram_form(const Side& side) {
  return side.given() || side.count() > side.dimension() ? FactorForm::covariance : FactorForm::panel;
}

// The rows whose Gram matrix a side's symmetric matrix is: its samples, or its features; the homogeneous coordinate
// apart.
MatrixView<const float> gram_rows_of(const Side& side, FactorForm form) {
  return form == FactorForm::panel ? side.rows : side.rows.transposed();
}

// to ← to + scale · l lᵀ, l the last coordinates of a panel's rows
void add_last(const Side& side, MatrixView<double> to) {
  for (std::size_t i = 0; i < to.rows; ++i) {
    const double factor = side.scale * side.last_coordinate(i);
    for (std::size_t j = 0; j <= i; ++j) to(j, i) = to(i, j) += factor * side.last_coordinate(j);
  }
}

// The last row and column of scale · R'ᵀR': scale · Rᵀl, and the corner scale · ‖l‖².
void fill_last(const Side& side, MatrixView<double> to) {
  const std::size_t d = side.features();
  for (std::size_t j = 0; j <= d; ++j) to(d, j) = 0;
  for (std::size_t i = 0; i < side.count(); ++i) {
    const double last = side.last_coordinate(i);
    for (std::size_t j = 0; j < d; ++j) to(d, j) += static_cast<double>(side.rows(i, j)) * last;
    to(d, d) += last * last;
  }
  for (std::size_t j = 0; j <= d; ++j) to(j, d) = to(d, j) *= side.scale;
}

// The symmetric matrix of one side on its way: the Gram matrix of its rows without their last coordinates, in float32,
// lower triangle, in pieces that threads share; then all of it in float64.
struct GramWork {
  const Side& side;
  FactorForm form;
  MatrixView<double> matrix;
  MatrixView<const float> x;  // the rows that the Gram matrix is of; unused where the factor is given
  std::size_t pieces = 0;
  MatrixView<float> single;

  GramWork(const Side& from, FactorForm with_form, MatrixView<double> to, Carver& scratch)
      : side(from), form(with_form), matrix(to), x(gram_rows_of(from, with_form)) {
    if (side.given()) return;
    pieces = flops() > 1.6e7 && x.rows >= 64 ? 4 : 1;
    single = scratch.floats(x.rows, x.rows);
  }

  [[nodiscard]] double flops() const {
    return static_cast<double>(x.rows) * static_cast<double>(x.rows) * static_cast<double>(x.cols);
  }
  void form_piece(std::size_t i) const {
    const std::size_t piece = pieces - 1 - i;  // the longest first
    const std::size_t first = x.rows * piece / pieces;
    const std::size_t count = (x.rows * (piece + 1) / pieces) - first;
    blas::gram_rows(static_cast<float>(side.scale), x, 0.0F, single, first, count);
  }
  void complete() const {
    if (side.given()) {
      for (std::size_t i = 0; i < matrix.rows; ++i) {
        for (std::size_t j = 0; j < matrix.cols; ++j)
          matrix(i, j) = side.scale * static_cast<double>(side.covariance(i, j));
      }
      return;
    }
    const double ones = side.homogeneous && form == FactorForm::panel && !side.stores_last() ? side.scale : 0;
    for (std::size_t i = 0; i < single.rows; ++i) {
      for (std::size_t j = 0; j <= i; ++j) matrix(i, j) = matrix(j, i) = static_cast<double>(single(i, j)) + ones;
    }
    if (!side.homogeneous) return;
    if (form == FactorForm::covariance) {
      fill_last(side, matrix);
    } else if (side.stores_last()) {
      add_last(side, matrix);
    }
  }
};

}  // namespace

BlockForms gram_forms(const FisherBlock& block) {
  return {.input = gram_form(block.input), .output = gram_form(block.output)};
}

void form_matrices(const FisherBlock& block, const BlockForms& forms, MatrixView<double> input,
                   MatrixView<double> output, std::span<double> scratch) {
  Carver carver(scratch);
  const GramWork input_work(block.input, forms.input, input, carver);
  const GramWork output_work(block.output, forms.output, output, carver);
  const bool input_first = input_work.flops() >= output_work.flops();
  const GramWork& larger = input_first ? input_work : output_work;
  const GramWork& smaller = input_first ? output_work : input_work;
  parallel_for(larger.pieces + smaller.pieces, larger.flops() + smaller.flops(), [&](std::size_t i) {
    if (i < larger.pieces) {
      larger.form_piece(i);
    } else {
      smaller.form_piece(i - larger.pieces);
    }
  });
  parallel_for(2, 10 * static_cast<double>(input.size() + output.size()),
               [&](std::size_t i) { (i == 0 ? larger : smaller).complete(); });
}

void form_cross(MatrixView<const float> g, MatrixView<const float> loss_grads, MatrixView<float> cross,
                const MatrixView<float>& own) {
  const Split tiles = Split::columns(g.rows, product_flops(g.rows, g.cols, loss_grads.rows));
  parallel_for(tiles.blocks() + (own.data == nullptr ? 0 : 1), [&](std::size_t i) {
    if (i == tiles.blocks()) {
      blas::gram_rows(1.0F, loss_grads, 0.0F, own, 0, own.rows);
    } else {
      const std::size_t first = tiles.first(i);
      const std::size_t count = tiles.count(i);
      blas::gemm(1.0F, g.rows_from(first, count), loss_grads.transposed(), 0.0F, cross.rows_from(first, count));
    }
  });
}

}  // namespace cgfac
