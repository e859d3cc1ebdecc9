#include "core/factor/inverse_view.h"

#include <algorithm>

#include "core/base/arena.h"
#include "core/base/error.h"
#include "core/block/weight_vector.h"
#include "core/linalg/blas.h"
#include "core/linalg/lapack.h"
#include "core/linalg/symmetric.h"
#include "core/linalg/tiles.h"
#include "core/threads/parallel.h"

namespace cgfac {
namespace {

// Room for some rows of a half product: in float32, in float64, and multiplied.
struct Half {
  MatrixView<float> single;
  MatrixView<double> wide;
  MatrixView<double> product;

  Half(std::span<double> memory, std::size_t rows, std::size_t inner) {
    Carver carver(memory);
    single = carver.floats(rows, inner);
    wide = carver.doubles(rows, inner);
    product = carver.doubles(rows, inner);
  }
};

// t ← x R'ᵀ but for a coordinate that is 1
void multiply_by_rows(const Side& side, const InverseRows& x, MatrixView<float> t) {
  blas::gemm(1.0F, x.body, side.rows.transposed(), 0.0F, t);
  if (side.stores_last()) blas::gemm(1.0F, x.last, side.last.transposed(), 1.0F, t);
}

// x ← factor·(x − t R') but for a coordinate that is 1
void subtract_rows(const Side& side, MatrixView<const float> t, float factor, const InverseRows& x) {
  blas::gemm(-factor, t, side.rows, factor, x.body);
  if (side.stores_last()) blas::gemm(-factor, t, side.last, factor, x.last);
}

// x ← (x − scale · (x R'ᵀ) S R')/γ: what is subtracted is divided by γ at last, as it would leave float32 before
void apply_woodbury(const InverseView& inverse, const InverseRows& x, const Half& half) {
  const Side& side = inverse.side;
  const bool ones = side.homogeneous && !side.stores_last();
  multiply_by_rows(side, x, half.single);
  widen(half.single, half.wide);
  for (std::size_t i = 0; ones && i < half.wide.rows; ++i) {
    const auto last = static_cast<double>(x.last(i, 0));
    for (std::size_t j = 0; j < half.wide.cols; ++j) half.wide(i, j) += last;
  }
  blas::gemm(side.scale, half.wide, inverse.s, 0.0, half.product);
  narrow(half.product, half.single);
  subtract_rows(side, half.single, static_cast<float>(1 / inverse.gamma), x);
  for (std::size_t i = 0; ones && i < half.product.rows; ++i) {
    double sum = 0;
    for (std::size_t j = 0; j < half.product.cols; ++j) sum += half.product(i, j);
    x.last(i, 0) = static_cast<float>((static_cast<double>(x.last(i, 0)) - sum) / inverse.gamma);
  }
}

// x ← (x − ((x Pᵀ)/(s + γ)) P)/γ
void apply_panel(const InverseView& inverse, const InverseRows& x, const Half& half) {
  const double gamma = inverse.gamma;
  multiply_by_rows(inverse.side, x, half.single);
  for (std::size_t row = 0; row < half.single.rows; ++row) {
    for (std::size_t k = 0; k < half.single.cols; ++k) {
      half.single(row, k) *= static_cast<float>(1 / (inverse.squares[k] + gamma));
    }
  }
  subtract_rows(inverse.side, half.single, static_cast<float>(1 / gamma), x);
}

// x ← x (F + γI)⁻¹ by the inverse itself
void apply_matrix(const InverseView& inverse, const InverseRows& x, const Half& half) {
  const std::size_t width = x.body.cols;
  const MatrixView<float>& copy = half.single;
  for (std::size_t row = 0; row < copy.rows; ++row) {
    for (std::size_t j = 0; j < width; ++j) copy(row, j) = x.body(row, j);
    if (x.last.data != nullptr) copy(row, width) = x.last(row, 0);
  }
  blas::gemm(1.0F, copy, inverse.inverse.columns(0, width), 0.0F, x.body);
  if (x.last.data != nullptr) blas::gemm(1.0F, copy, inverse.inverse.columns(width, 1), 0.0F, x.last);
}

// x ← x/(f + γ)
void apply_diagonal(const InverseView& inverse, const InverseRows& x) {
  const std::size_t width = x.body.cols;
  for (std::size_t row = 0; row < x.body.rows; ++row) {
    for (std::size_t j = 0; j < width; ++j) x.body(row, j) *= inverse.reciprocals[j];
    if (x.last.data != nullptr) x.last(row, 0) *= inverse.reciprocals[width];
  }
}

void apply_to_chunk(const InverseView& inverse, const InverseRows& x, const Half& half) {
  switch (inverse.form) {
    case InverseView::Form::woodbury:
      apply_woodbury(inverse, x, half);
      break;
    case InverseView::Form::panel:
      apply_panel(inverse, x, half);
      break;
    case InverseView::Form::matrix:
      apply_matrix(inverse, x, half);
      break;
    case InverseView::Form::diagonal:
      apply_diagonal(inverse, x);
      break;
    case InverseView::Form::blocks:
      break;  // which have rows of their own each
  }
}

InverseRows rows_of(const InverseRows& x, std::size_t first, std::size_t count) {
  return {.body = x.body.rows_from(first, count),
          .last = x.last.data == nullptr ? x.last : x.last.rows_from(first, count)};
}

}  // namespace

double InverseView::flops_per_row() const {
  const auto d = static_cast<double>(side.dimension());
  if (form == Form::diagonal || form == Form::blocks) return d;
  if (form == Form::matrix) return 2 * d * d;
  const auto n = static_cast<double>(side.count());
  return (4 * n * d) + (form == Form::woodbury ? 2 * n * n : 0);
}

std::size_t inverse_scratch(std::size_t rows, std::size_t inner) {
  return (3 * rows * inner) + 1;
}

void apply_inverse(const InverseView& inverse, const InverseRows& x, std::span<double> scratch) {
  const std::size_t inner = inverse.inner();
  const std::size_t extent = x.body.rows;
  constexpr std::size_t least = smallest_chunk;
  const std::size_t fitting = scratch.size() / (3 * inner);
  const std::size_t chunk = std::clamp(fitting - std::min(fitting, least), least, std::max(extent, least));
  for (std::size_t first = 0; first < extent; first += chunk) {
    const std::size_t rows = std::min(chunk, extent - first);
    const Split split = Split::columns(rows, static_cast<double>(rows) * inverse.flops_per_row());
    parallel_for(split.blocks(), [&](std::size_t i) {
      const std::size_t count = split.count(i);
      const std::size_t place = inverse_scratch(split.first(i), inner) + i;
      const Half half(scratch.subspan(place, inverse_scratch(count, inner)), count, inner);
      apply_to_chunk(inverse, rows_of(x, first + split.first(i), count), half);
    });
  }
}

void apply_both(const InverseView& input, const InverseView& output, const WeightView<float>& x,
                std::span<double> scratch) {
  const std::span<float> bias = x.bias;
  apply_inverse(
      input,
      {.body = x.kernel, .last = bias.empty() ? MatrixView<float>() : MatrixView<float>(bias.data(), bias.size(), 1)},
      scratch);
  apply_inverse(output, {.body = x.kernel.transposed()}, scratch);
  if (!bias.empty()) apply_inverse(output, {.body = {bias.data(), 1, bias.size()}}, scratch);
}

void invert_damped(MatrixView<double> matrix, double gamma) {
  for (std::size_t i = 0; i < matrix.rows; ++i) matrix(i, i) += gamma;
  if (!blas::cholesky(matrix)) {
    throw expected(ErrorCode::invalid_value, "a damping above the rounding of the rows", "damping", to_text(gamma));
  }
  blas::cholesky_inverse(matrix);
}

}  // namespace cgfac
