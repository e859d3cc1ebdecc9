#include "core/factor/damped_inverse.h"

#include <algorithm>
#include <limits>
#include <vector>

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

// Of the mean damping of blocks what each has at the least: one that is hardly used would have a direction without
// bounds.
constexpr double least_share = 0.01;

// K ← scale · R'R'ᵀ, lower triangle
void form_gram(const Side& side, MatrixView<float> gram) {
  gram_in_pieces(side.scale, side.rows, gram);
  if (!side.homogeneous) return;
  const auto one = static_cast<float>(side.scale);
  for (std::size_t i = 0; i < gram.rows; ++i) {
    for (std::size_t j = 0; j <= i; ++j) gram(i, j) += one;
  }
}

// f_ij ← rowmean_i · colmean_j/mean of the numbers of a matrix, whose rows are seen now and then
void multiply_means(MatrixView<const float> numbers, MatrixView<float> out) {
  std::vector<double> rows(numbers.rows);
  std::vector<double> columns(numbers.cols);
  double sum = 0;
  for (std::size_t i = 0; i < numbers.rows; ++i) {
    for (std::size_t j = 0; j < numbers.cols; ++j) {
      const auto number = static_cast<double>(numbers(i, j));
      rows[i] += number;
      columns[j] += number;
      sum += number;
    }
  }
  for (std::size_t i = 0; i < numbers.rows; ++i) {
    for (std::size_t j = 0; j < numbers.cols; ++j)
      out(i, j) = sum > 0 ? static_cast<float>(rows[i] * columns[j] / sum) : 0.0F;
  }
}

}  // namespace

bool can_damp(double gamma) {
  return gamma >= static_cast<double>(std::numeric_limits<float>::min()) &&
         1 / gamma <= static_cast<double>(std::numeric_limits<float>::max());
}

void DampedInverse::damp(const Factor& factor, double gamma, bool relative) {
  if (!can_damp(gamma) && !factor.moments().exact) {
    throw expected(ErrorCode::invalid_value, "rows that make it a number in the range of float32", "factored damping",
                   to_text(gamma));
  }
  if (made_ && gamma == view_.gamma) return;
  made_ = false;
  view_ = {.side = factor.side(), .gamma = gamma, .squares = factor.squares()};
  if (factor.blocks().count > 0) {
    damp_blocks(factor, relative);
  } else if (factor.is_diagonal()) {
    damp_diagonal(factor.diagonal(), factor.columns());
  } else if (!view_.squares.empty()) {
    damp_panel();
  } else {
    damp_matrix(view_.side);
  }
  made_ = true;
}

void DampedInverse::damp_diagonal(std::span<const float> numbers, std::size_t columns) {
  view_.form = InverseView::Form::diagonal;
  const std::span<float> reciprocals = single_.span(numbers.size());
  if (columns > 0) {
    const std::size_t rows = numbers.size() / columns;
    multiply_means({numbers.data(), rows, columns}, {reciprocals.data(), rows, columns});
    numbers = reciprocals;
  }
  largest_ = effective_rank_ = 0;
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    const auto number = static_cast<double>(numbers[i]);
    const double damped = number + view_.gamma;
    reciprocals[i] = static_cast<float>(1 / damped);
    largest_ = std::max(largest_, number);
    effective_rank_ += number / damped;
  }
  view_.reciprocals = reciprocals;
}

void DampedInverse::damp_panel() {
  view_.form = InverseView::Form::panel;
  largest_ = view_.squares.front();
  effective_rank_ = 0;
  for (const double square : view_.squares) effective_rank_ += square / (square + view_.gamma);
}

// (F_c + γ_c I)⁻¹ with γ_c = γ, or relative to the blocks' own traces γ · tr F_c over the mean of all tr F
void DampedInverse::damp_blocks(const Factor& factor, bool relative) {
  const std::size_t side = factor.block_side();
  const std::size_t count = factor.blocks().count;
  const double mean = factor.moments().trace / static_cast<double>(count);
  view_.form = InverseView::Form::blocks;
  block_side_ = side;
  const std::span<double> inverses = s_.span(count * side * side);
  largest_ = effective_rank_ = 0;
  for (std::size_t c = 0; c < count; ++c) {
    const MatrixView<double> inverse(inverses.data() + (c * side * side), side, side);
    const MatrixView<const float> block = factor.block(c);
    double trace = 0;
    for (std::size_t i = 0; i < side; ++i) {
      for (std::size_t j = 0; j < side; ++j) inverse(i, j) = static_cast<double>(block(i, j));
      trace += inverse(i, i);
    }
    const bool own = relative && !factor.blocks().one_damping;
    const double gamma = own ? view_.gamma * std::max(trace / mean, least_share) : view_.gamma;
    largest_ = std::max(largest_, largest_eigenvalue(MatrixView<const double>(inverse)));
    invert_damped(inverse, gamma);
    effective_rank_ += static_cast<double>(side);
    for (std::size_t i = 0; i < side; ++i) effective_rank_ -= gamma * inverse(i, i);
  }
}

void DampedInverse::apply_block(std::size_t block, const InverseRows& x) const {
  const std::size_t side = block_side_;
  const std::span<const double> inverse = s_.held((block + 1) * side * side).subspan(block * side * side);
  std::vector<double> row(side);
  const auto coordinate = [&x](std::size_t i, std::size_t j) -> float& {
    return j < x.body.cols ? x.body(i, j) : x.last(i, 0);
  };
  for (std::size_t i = 0; i < x.body.rows; ++i) {
    for (std::size_t j = 0; j < side; ++j) row[j] = static_cast<double>(coordinate(i, j));
    for (std::size_t j = 0; j < side; ++j) {
      double sum = 0;
      for (std::size_t k = 0; k < side; ++k) sum += row[k] * inverse[(j * side) + k];
      coordinate(i, j) = static_cast<float>(sum);
    }
  }
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
  constexpr double resolved = 0x1p-30;  // of 1, what 1 − γS may be
  return view_.form == InverseView::Form::woodbury && count <= view_.side.count() && largest_ >= resolved * view_.gamma;
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
