#include "core/factor/damped_inverse.h"

#include <algorithm>
#include <limits>

#include "core/base/error.h"
#include "core/linalg/blas.h"
#include "core/linalg/power_method.h"
#include "core/linalg/symmetric.h"
#include "core/linalg/tiles.h"
#include "core/threads/parallel.h"

namespace cgfac {
namespace {

// Rows at a time that a given vector is multiplied by.
constexpr std::size_t chunk = 512;

// K ← scale · R'R'ᵀ, lower triangle
void form_gram(const Side& side, MatrixView<float> gram) {
  gram_in_pieces(side.scale, side.rows, gram);
  if (!side.homogeneous) return;
  const auto one = static_cast<float>(side.scale);
  for (std::size_t i = 0; i < gram.rows; ++i) {
    for (std::size_t j = 0; j <= i; ++j) gram(i, j) += one;
  }
}

}  // namespace

bool can_damp(double gamma) {
  return gamma >= static_cast<double>(std::numeric_limits<float>::min()) &&
         1 / gamma <= static_cast<double>(std::numeric_limits<float>::max());
}

void DampedInverse::damp(const Factor& factor, double gamma) {
  if (!can_damp(gamma)) {
    throw expected(ErrorCode::invalid_value, "rows that make it a number in the range of float32", "factored damping",
                   to_text(gamma));
  }
  if (gamma == asked_) return;
  asked_ = 0;
  view_ = {.side = factor.side(), .gamma = gamma, .squares = factor.squares()};
  if (!view_.squares.empty()) {
    damp_panel();
  } else {
    damp_matrix(view_.side);
  }
  asked_ = gamma;
}

void DampedInverse::damp_panel() {
  view_.form = InverseView::Form::panel;
  largest_ = view_.squares.front();
  effective_rank_ = 0;
  for (const double square : view_.squares) effective_rank_ += square / (square + view_.gamma);
}

// Rows that outnumber d are multiplied out.
void DampedInverse::damp_matrix(const Side& side) {
  const std::size_t d = side.dimension();
  const bool matrix = side.given() || side.count() > d;
  const std::size_t size = matrix ? d : side.count();
  const MatrixView<double> s(s_.span(size * size).data(), size, size);
  const MatrixView<float> single = single_.matrix(size, size);
  if (matrix) {
    covariance_matrix(side, single);
  } else {
    form_gram(side, single);
  }
  widen_lower(single, s);
  largest_ = largest_eigenvalue(MatrixView<const double>(s));
  invert_damped(s, view_.gamma);
  effective_rank_ = static_cast<double>(size);
  for (std::size_t i = 0; i < size; ++i) effective_rank_ -= view_.gamma * s(i, i);
  effective_rank_ = std::max(effective_rank_, 0.0);
  view_.form = matrix ? InverseView::Form::matrix : InverseView::Form::woodbury;
  narrow(s, single);
  if (matrix) {
    view_.inverse = single;
  } else {
    view_.s = s;
  }
}

void DampedInverse::apply(const InverseRows& x) {
  const std::size_t rows = std::min(x.body.rows, chunk) + smallest_chunk;
  apply_inverse(view_, x, scratch_.span(inverse_scratch(rows, view_.inner())));
}

bool DampedInverse::has_own(std::size_t count) const {
  return view_.form == InverseView::Form::woodbury && count <= view_.side.count();
}

void DampedInverse::apply_own(MatrixView<float> z, MatrixView<float> gram) {
  const Side& side = view_.side;
  const std::size_t features = side.features();
  const MatrixView<const float> s = single_.held_matrix(side.count(), side.count());
  const MatrixView<const float> own = s.rows_from(0, z.rows);
  const Split split = Split::columns(features, product_flops(z.rows, side.count(), features));
  parallel_for(split.blocks(), [&](std::size_t i) {
    blas::gemm(1.0F, own, side.rows.columns(split.first(i), split.count(i)), 0.0F,
               z.columns(split.first(i), split.count(i)));
  });
  for (std::size_t i = 0; side.homogeneous && i < z.rows; ++i) {
    double sum = 0;
    for (std::size_t j = 0; j < side.count(); ++j) sum += static_cast<double>(own(i, j));
    z(i, features) = static_cast<float>(sum);
  }
  for (std::size_t i = 0; i < gram.rows; ++i) {
    for (std::size_t j = 0; j < gram.cols; ++j) {
      const double identity = i == j ? 1 : 0;
      gram(i, j) = static_cast<float>((identity - (view_.gamma * view_.s(i, j))) / side.scale);
    }
  }
}

}  // namespace cgfac
