#include "core/operator/gram_problem.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "core/base/error.h"
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
    for (std::size_t j = 0; j < to.cols; ++j) to(i, j) += factor * side.last_coordinate(j);
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

// A side's symmetric matrix in float64, both triangles, from the lower triangle of its Gram matrix without the last
// coordinates, or from the factor where that is given.
void complete(const Side& side, FactorForm form, MatrixView<const float> gram, MatrixView<double> to) {
  if (side.given()) {
    for (std::size_t i = 0; i < to.rows; ++i) {
      for (std::size_t j = 0; j < to.cols; ++j) to(i, j) = side.scale * static_cast<double>(side.covariance(i, j));
    }
    return;
  }
  const double ones = side.homogeneous && form == FactorForm::panel && !side.stores_last() ? side.scale : 0;
  for (std::size_t i = 0; i < gram.rows; ++i) {
    for (std::size_t j = 0; j <= i; ++j) to(i, j) = to(j, i) = static_cast<double>(gram(i, j)) + ones;
  }
  if (!side.homogeneous) return;
  if (form == FactorForm::covariance) {
    fill_last(side, to);
  } else if (side.stores_last()) {
    add_last(side, to);
  }
}

double square(std::span<const float> x) {
  return blas::dot(x, x);
}

}  // namespace

BlockForms gram_forms(const FisherBlock& block) {
  return {.input = gram_form(block.input), .output = gram_form(block.output)};
}

std::span<double> Carver::numbers(std::size_t count) {
  if (count > rest_.size())
    throw Error(ErrorCode::shape_mismatch, "Expected room in a workspace but received too little");
  const std::span<double> result = rest_.first(count);
  rest_ = rest_.subspan(count);
  return result;
}

namespace {

template <typename T>
void gemm_by_rows(T alpha, const MatrixView<const T>& a, const MatrixView<const T>& b, T beta, const MatrixView<T>& c) {
  const Split split = Split::columns(c.rows, product_flops(c.rows, a.cols, c.cols));
  parallel_for(split.blocks(), [&](std::size_t i) {
    const std::size_t first = split.first(i);
    blas::gemm(alpha, a.rows_from(first, split.count(i)), b, beta, c.rows_from(first, split.count(i)));
  });
}

template <typename From, typename To>
void convert(const MatrixView<const From>& from, const MatrixView<To>& to) {
  if (!(from.row_major() && to.row_major())) {
    for (std::size_t i = 0; i < to.rows; ++i) {
      for (std::size_t j = 0; j < to.cols; ++j) to(i, j) = static_cast<To>(from(i, j));
    }
    return;
  }
  for (std::size_t i = 0; i < to.rows; ++i) {
    const From* const source = from.data + (i * from.row_stride);
    To* const target = to.data + (i * to.row_stride);
    for (std::size_t j = 0; j < to.cols; ++j) target[j] = static_cast<To>(source[j]);
  }
}

}  // namespace

void gemm_in_tiles(float alpha, MatrixView<const float> a, MatrixView<const float> b, float beta, MatrixView<float> c) {
  gemm_by_rows(alpha, a, b, beta, c);
}

void gemm_in_tiles(double alpha, MatrixView<const double> a, MatrixView<const double> b, double beta,
                   MatrixView<double> c) {
  gemm_by_rows(alpha, a, b, beta, c);
}

void narrow(MatrixView<const double> from, MatrixView<float> to) {
  convert(from, to);
}

void widen(MatrixView<const float> from, MatrixView<double> to) {
  convert(from, to);
}

GramProblem::GramProblem(const FisherBlock& block, const BlockTraces& traces, const Gradient& gradient,
                         std::size_t solver_numbers, GramWorkspace& workspace)
    : block_(block), traces_(traces), gradient_(gradient), forms_(gram_forms(block)) {
  const std::size_t q = projected_size(block.output, forms_.output);
  const std::size_t p = projected_size(block.input, forms_.input);
  const std::size_t matrices = (p * p) + (q * q) + (((q * p) + 1) / 2);
  const std::size_t widest = std::max(p, q);
  const std::size_t squares = arena_numbers(widest);
  const std::size_t forming = ((p * p) + (q * q) + 2) / 2 + 2;  // the matrices in float32
  const std::size_t own = gradient.same_batch() ? (3 * widest * widest) + 4 : 0;
  const std::size_t pass = (pass_scratch(block, forms_, 2 * (squares - std::min(squares, matrices))) + 1) / 2;
  Carver arena(workspace.arena.span(matrices + std::max({solver_numbers, pass, forming, own})));
  input_matrix_ = arena.doubles(p, p);
  output_matrix_ = arena.doubles(q, q);
  u_ = arena.floats(q, p);
  scratch_ = arena.rest();

  if (!(input_panel() && output_panel() && has_block_inputs(block, gradient)))
    gradient_ = given_gradient(block, gradient, workspace.gradient);
  form_matrices(block_, forms_, input_matrix_, output_matrix_, scratch_);
  if (gradient_.same_batch()) {
    project_own_gradient(scratch_);
  } else {
    v_norm2_ = cgfac::project(block_, forms_, gradient_.v, u_, as_floats(scratch_));
  }
  // NaN or infinity in the rows showed in the traces; what is left are those of v, and products beyond float32.
  const double sum = v_norm2_ + square(u_.elements()) + blas::dot(input_matrix_.elements(), input_matrix_.elements()) +
                     blas::dot(output_matrix_.elements(), output_matrix_.elements());
  if (!std::isfinite(sum)) {
    throw_not_finite(block_, gradient);
  }
}

void form_matrices(const FisherBlock& block, const BlockForms& forms, MatrixView<double> input,
                   MatrixView<double> output, std::span<double> scratch) {
  struct Work {
    const Side* side;
    FactorForm form;
    MatrixView<const float> x;  // whose Gram matrix the rows need
    MatrixView<float> single;
    MatrixView<double> matrix;
    std::size_t pieces;
  };
  Carver carver(scratch);
  const auto work_of = [&](const Side& side, FactorForm form, const MatrixView<double>& matrix) {
    const MatrixView<const float> x = gram_rows_of(side, form);
    const double flops = static_cast<double>(x.rows) * static_cast<double>(x.rows) * static_cast<double>(x.cols);
    const std::size_t pieces = side.given() ? 0 : flops > 1.6e7 && x.rows >= 64 ? 4 : 1;
    const std::size_t size = side.given() ? 0 : x.rows;
    return Work{
        .side = &side, .form = form, .x = x, .single = carver.floats(size, size), .matrix = matrix, .pieces = pieces};
  };
  std::array<Work, 2> sides{work_of(block.input, forms.input, input), work_of(block.output, forms.output, output)};
  if (sides[0].x.size() * sides[0].x.rows < sides[1].x.size() * sides[1].x.rows) std::swap(sides[0], sides[1]);
  const auto flops = [&](const Work& work) { return static_cast<double>(work.x.rows * work.x.size()); };
  parallel_for(sides[0].pieces + sides[1].pieces, flops(sides[0]) + flops(sides[1]), [&](std::size_t i) {
    const Work& work = sides[i < sides[0].pieces ? 0 : 1];
    const std::size_t piece = work.pieces - 1 - (i < sides[0].pieces ? i : i - sides[0].pieces);  // the longest first
    const std::size_t first = work.x.rows * piece / work.pieces;
    const std::size_t count = (work.x.rows * (piece + 1) / work.pieces) - first;
    blas::gram_rows(static_cast<float>(work.side->scale), work.x, 0.0F, work.single, first, count);
  });
  parallel_for(2, 10 * static_cast<double>(input.size() + output.size()),
               [&](std::size_t i) { complete(*sides[i].side, sides[i].form, sides[i].single, sides[i].matrix); });
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

// v = scale · g_vᵀ [a 1]:  U = P_gᵀ g_vᵀ [a 1] P_a · scale = (√scale_g · g g_vᵀ) (K_a/√scale_a) · scale
// and ‖v‖² = scale² ⟨g_v g_vᵀ, K_a/scale_a⟩
void GramProblem::project_own_gradient(std::span<double> scratch) {
  Carver carver(scratch);
  const MatrixView<const float>& g = block_.output.rows;
  const MatrixView<const float>& own = gradient_.loss_grads;
  const std::size_t batch = own.rows;
  const MatrixView<float> kernel = carver.floats(batch, batch);
  const MatrixView<float> cross = carver.floats(g.rows, batch);
  const MatrixView<float> inputs = carver.floats(batch, batch);
  const double input_scale = block_.input.scale;
  const double output_scale = block_.output.scale;
  const double cross_scale = std::sqrt(output_scale) * gradient_.scale / std::sqrt(input_scale);
  narrow(input_matrix_, inputs);
  if (empirical(block_, gradient_)) {
    narrow(output_matrix_, cross);
    gemm_in_tiles(static_cast<float>(cross_scale / output_scale), cross, inputs, 0.0F, u_);
    v_norm2_ = blas::dot(output_matrix_.elements(), input_matrix_.elements()) / output_scale;
  } else {
    form_cross(g, own, cross, kernel);
    gemm_in_tiles(static_cast<float>(cross_scale), cross, inputs, 0.0F, u_);
    for (std::size_t i = 0; i < batch; ++i) {
      for (std::size_t j = 0; j < i; ++j) v_norm2_ += 2 * static_cast<double>(kernel(i, j)) * input_matrix_(i, j);
      v_norm2_ += static_cast<double>(kernel(i, i)) * input_matrix_(i, i);
    }
  }
  v_norm2_ *= gradient_.scale * gradient_.scale / input_scale;
  v_norm2_ = std::isnan(v_norm2_) ? v_norm2_ : std::max(v_norm2_, 0.0);  // rounding of a sum that is 0
}

double GramProblem::project(const WeightView<const float>& x0, MatrixView<float> out, std::span<double> scratch) const {
  return cgfac::project(block_, forms_, x0, out, as_floats(scratch));
}

void GramProblem::expand(double s, MatrixView<const float> c, const Destination& destination,
                         std::span<double> scratch) const {
  const double norm_c = std::sqrt(square(c.elements()));
  if (!(norm_c <= largest_norm)) {
    throw expected(ErrorCode::not_finite, "a solution within the range of float32", "inputs, outputGrads and v",
                   "an overflow");
  }
  const double multiple = std::abs(s * destination.factor);
  if (!(multiple <= largest_norm && multiple * std::sqrt(v_norm2_) <= largest_norm))
    throw_not_finite(block_, gradient_);
  cgfac::expand(block_, forms_, traces_, s, gradient_, c, norm_c, destination, as_floats(scratch));
}

}  // namespace cgfac
