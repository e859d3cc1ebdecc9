#include "core/factor/damped_factor.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "core/base/error.h"
#include "core/block/finite.h"
#include "core/linalg/blas.h"
#include "core/linalg/lapack.h"
#include "core/linalg/tiles.h"
#include "core/threads/parallel.h"

namespace cgfac {
namespace {

// Row `from` of a side to a row of its dimension, the homogeneous coordinate written out, times a factor.
void copy_row(const Side& side, std::size_t from, float factor, float* to) {
  const float* const row = side.rows.data + (from * side.rows.row_stride);
  for (std::size_t j = 0; j < side.rows.cols; ++j) to[j] = factor * row[j];
  if (side.homogeneous) to[side.rows.cols] = factor;
}

// K ← factor · X Xᵀ, lower triangle, in pieces
void gram_in_pieces(double factor, const MatrixView<const float>& x, const MatrixView<float>& k) {
  const double flops = static_cast<double>(x.rows * x.rows) * static_cast<double>(x.cols);
  const std::size_t pieces = flops > 1.6e7 && x.rows >= 64 ? 4 : 1;
  parallel_for(pieces, [&](std::size_t i) {
    const std::size_t piece = pieces - 1 - i;  // the longest first
    const std::size_t first = x.rows * piece / pieces;
    blas::gram_rows(static_cast<float>(factor), x, 0.0F, k, first, (x.rows * (piece + 1) / pieces) - first);
  });
}

void widen_lower(const MatrixView<const float>& from, const MatrixView<double>& to) {
  for (std::size_t i = 0; i < from.rows; ++i) {
    for (std::size_t j = 0; j <= i; ++j) to(i, j) = static_cast<double>(from(i, j));
  }
}

void mirror_lower(const MatrixView<float>& x) {
  for (std::size_t i = 0; i < x.rows; ++i) {
    for (std::size_t j = i + 1; j < x.cols; ++j) x(i, j) = x(j, i);
  }
}

// β_k = 1 − (1 − δ)/(1 − δ^k), the share of an average's k-th refresh that is what was there
double share_kept(double decay, std::size_t refreshes) {
  const double before = decay * (1 - std::pow(decay, static_cast<double>(refreshes)));
  return refreshes == 0 ? 0 : before / (before + 1 - decay);
}

double sum_of_squares(const Side& side) {
  const double ones = side.homogeneous ? static_cast<double>(side.count()) : 0;
  return blas::dot(side.rows.elements(), side.rows.elements()) + ones;
}

// The largest eigenvalue of a positive semidefinite matrix, by its lower triangle, from below: ‖Kx‖ after a few steps.
// The start has no pattern: all ones would be orthogonal to every eigenvector of a softmax head's G, whose rows add up
// to 0.
double power_method(const MatrixView<double>& k) {
  constexpr int steps = 5;
  const std::size_t size = k.rows;
  std::vector<double> x(size);
  for (std::size_t i = 0; i < size; ++i) x[i] = scattered(size, i) - 0.5;
  std::vector<double> y(size);
  double largest = 0;
  for (int step = 0; step < steps; ++step) {
    const double norm = std::sqrt(blas::dot(std::span<const double>(x), x));
    if (!(norm > 0)) return 0;
    for (double& element : x) element /= norm;
    std::ranges::fill(y, 0.0);
    for (std::size_t i = 0; i < size; ++i) {
      const double* const row = k.data + (i * size);
      y[i] += row[i] * x[i] + blas::dot(std::span(row, i), std::span<const double>(x).first(i));
      blas::axpy(x[i], std::span(row, i), std::span(y).first(i));
    }
    largest = std::sqrt(blas::dot(std::span<const double>(y), y));
    x.swap(y);
  }
  return largest;
}

// Directions whose share of a panel is rounding
constexpr double negligible = 1e-12;

}  // namespace

DampedFactor::DampedFactor(std::size_t dimension, const FactorOptions& options)
    : dimension_(dimension), options_(options) {}

bool DampedFactor::averaged_densely() const {
  return options_.history == FactorHistory::dense ||
         (options_.history == FactorHistory::panel && dimension_ <= options_.dense_dimension);
}

DampedFactor::Form DampedFactor::form() const {
  if (averaged_densely()) return Form::dense;
  if (options_.history == FactorHistory::panel) return Form::panel;
  return now_.count > dimension_ ? Form::dense : Form::rows;
}

double DampedFactor::kept_trace() const {
  if (form() != Form::panel) return now_.trace;
  double sum = 0;
  for (const double square : now_.squares) sum += square;
  return std::min(sum, now_.trace);
}

double DampedFactor::mean_eigenvalue() const {
  const std::size_t eigenvalues = form() == Form::panel ? now_.count : dimension_;
  return now_.trace / static_cast<double>(std::max<std::size_t>(eigenvalues, 1));
}

void DampedFactor::refresh(const Side& rows, double share) {
  can_roll_back_ = false;
  if (averaged_densely()) {
    refresh_average(rows);
  } else if (options_.history == FactorHistory::panel) {
    refresh_panel(rows);
  } else {
    refresh_rows(rows, static_cast<std::size_t>(share * static_cast<double>(options_.window)));
  }
  other_.refreshes = now_.refreshes + 1;
  std::swap(now_, other_);
  can_roll_back_ = true;
  asked_gamma_ = 0;
}

void DampedFactor::roll_back() {
  if (!can_roll_back_) return;
  std::swap(now_, other_);
  can_roll_back_ = false;
  asked_gamma_ = 0;
}

// New rows before older ones, and of those as many as fill the window.
void DampedFactor::refresh_rows(const Side& rows, std::size_t window) {
  const std::size_t fresh = rows.count();
  const std::size_t older = std::min(now_.count, window - std::min(window, fresh));
  const std::size_t count = fresh + older;
  const MatrixView<float> all = other_.rows.matrix(count, dimension_);
  for (std::size_t i = 0; i < fresh; ++i) copy_row(rows, i, 1, all.data + (i * dimension_));
  std::ranges::copy(now_.rows.held(older * dimension_), all.data + (fresh * dimension_));
  other_.count = other_.rows_taken = count;
  other_.scale = rows.scale * static_cast<double>(fresh) / static_cast<double>(count);
  other_.trace = other_.scale * blas::dot(std::span<const float>(all.elements()), all.elements());
}

void DampedFactor::refresh_average(const Side& rows) {
  const std::size_t d = dimension_;
  const std::size_t in = rows.rows.cols;
  const double share = share_kept(options_.decay, now_.refreshes);
  const double weight = rows.scale * (1 - share);
  const auto decay = static_cast<float>(share);
  const MatrixView<float> average = other_.average.matrix(d, d);
  if (now_.refreshes > 0) {
    std::ranges::copy(now_.average.held(d * d), average.data);
  } else {
    std::ranges::fill(average.elements(), 0.0F);
  }
  const MatrixView<float> body(average.data, in, in, d, 1);
  blas::gram_rows(static_cast<float>(weight), rows.rows.transposed(), decay, body, 0, in);
  if (rows.homogeneous) {
    float* const last = average.data + (in * d);
    std::vector<double> sums(in);
    for (std::size_t i = 0; i < rows.count(); ++i) {
      for (std::size_t j = 0; j < in; ++j) sums[j] += static_cast<double>(rows.rows(i, j));
    }
    for (std::size_t j = 0; j < in; ++j) last[j] = (decay * last[j]) + static_cast<float>(weight * sums[j]);
    last[in] = (decay * last[in]) + static_cast<float>(weight * static_cast<double>(rows.count()));
  }
  mirror_lower(average);
  other_.rows_taken = rows.count();
  other_.trace = 0;
  for (std::size_t i = 0; i < d; ++i) other_.trace += static_cast<double>(average(i, i));
}

void DampedFactor::refresh_panel(const Side& rows) {
  const std::size_t d = dimension_;
  const std::size_t fresh = rows.count();
  const double share = share_kept(options_.decay, now_.refreshes);
  const std::size_t old = now_.count;
  // a first batch enters with as many rows as the panel and its additions have room for
  const std::size_t taken = std::min(fresh, old > 0 ? options_.panel_rows : options_.rank + options_.panel_rows);
  const std::size_t stacked = old + taken;
  const std::size_t rank = std::min({options_.rank, stacked, d});
  const std::span<float> memory = single_.span((stacked * d) + (stacked * stacked));
  const MatrixView<float> stack(memory.data(), stacked, d);
  const MatrixView<float> gram(memory.data() + stack.size(), stacked, stacked);
  const auto keep = static_cast<float>(std::sqrt(share));
  const float* const panel = now_.rows.held(old * d).data();
  for (std::size_t i = 0; i < old * d; ++i) stack.data[i] = keep * panel[i];
  const auto weight =
      static_cast<float>(std::sqrt((1 - share) * rows.scale * static_cast<double>(fresh) / static_cast<double>(taken)));
  // A row from each stretch, another one at each refresh: rows of a sequence or an image repeat a pattern of positions.
  for (std::size_t i = 0; i < taken; ++i) {
    const double place = static_cast<double>(i) + (taken < fresh ? scattered(now_.refreshes, i) : 0);
    const auto from = static_cast<std::size_t>(place * static_cast<double>(fresh) / static_cast<double>(taken));
    copy_row(rows, std::min(from, fresh - 1), weight, stack.data + ((old + i) * d));
  }
  gram_in_pieces(1, stack, gram);

  const std::span<double> work = work_.span((stacked * stacked) + stacked + blas::eigen_work(stacked));
  const MatrixView<double> vectors(work.data(), stacked, stacked);
  const std::span<double> values = work.subspan(vectors.size(), stacked);
  widen_lower(gram, vectors);
  blas::eigen(vectors, values, work.subspan(vectors.size() + stacked));
  // P = Vᵀ [stack], the largest first; rows of V are the eigenvectors, ascending
  other_.squares.assign(rank, 0);
  const MatrixView<float> leading(gram.data, rank, stacked);
  for (std::size_t k = 0; k < rank; ++k) {
    const std::size_t from = stacked - 1 - k;
    const bool kept_direction = values[from] > negligible * values[stacked - 1];
    other_.squares[k] = kept_direction ? values[from] : 0;
    for (std::size_t j = 0; j < stacked; ++j)
      leading(k, j) = kept_direction ? static_cast<float>(vectors(from, j)) : 0.0F;
  }
  const MatrixView<float> next = other_.rows.matrix(rank, d);
  const Split split = Split::columns(d, product_flops(rank, stacked, d));
  parallel_for(split.blocks(), [&](std::size_t i) {
    blas::gemm(1.0F, leading, stack.columns(split.first(i), split.count(i)), 0.0F,
               next.columns(split.first(i), split.count(i)));
  });
  other_.count = rank;
  other_.rows_taken = fresh;
  other_.trace = (share * now_.trace) + ((1 - share) * rows.scale * sum_of_squares(rows));
}

// γ with the mean of what a panel cut off
double DampedFactor::total_gamma(double gamma) const {
  return gamma + ((now_.trace - kept_trace()) / static_cast<double>(dimension_));
}

bool DampedFactor::can_damp(double gamma) const {
  const double total = total_gamma(gamma);
  return total >= static_cast<double>(std::numeric_limits<float>::min()) &&
         1 / total <= static_cast<double>(std::numeric_limits<float>::max());
}

void DampedFactor::damp(double gamma) {
  if (gamma == asked_gamma_) return;
  const double total = total_gamma(gamma);
  if (!can_damp(gamma)) {
    throw expected(ErrorCode::invalid_value, "rows that make it a number in the range of float32", "factored damping",
                   to_text(gamma));
  }
  asked_gamma_ = 0;
  gamma_ = total;
  if (form() != Form::panel) {
    const bool dense = form() == Form::dense;
    const std::size_t size = dense ? dimension_ : now_.count;
    const MatrixView<double> matrix(work_.span(size * size).data(), size, size);
    if (averaged_densely()) {
      widen_lower(now_.average.held_matrix(size, size), matrix);
    } else {
      const MatrixView<float> gram = single_.matrix(size, size);
      const MatrixView<const float> rows = now_.rows.held_matrix(now_.count, dimension_);
      gram_in_pieces(now_.scale, dense ? rows.transposed() : rows, gram);
      widen_lower(gram, matrix);
    }
    largest_ = power_method(matrix);
    for (std::size_t i = 0; i < size; ++i) matrix(i, i) += total;
    if (!blas::cholesky(matrix)) {
      throw expected(ErrorCode::invalid_value, "a damping above the rounding of the rows", "damping", to_text(gamma));
    }
    blas::cholesky_inverse(matrix);
    narrow(matrix, inverse_.matrix(size, size));
    effective_rank_ = static_cast<double>(size);
    for (std::size_t i = 0; i < size; ++i) effective_rank_ -= total * matrix(i, i);
    effective_rank_ = std::max(effective_rank_, 0.0);
  } else {
    largest_ = now_.squares.front();
    effective_rank_ = 0;
    for (const double square : now_.squares) effective_rank_ += square / (square + total);
  }
  asked_gamma_ = gamma;
}

double DampedFactor::flops_per_row() const {
  const auto d = static_cast<double>(dimension_);
  if (form() == Form::dense) return 2 * d * d;
  const auto r = static_cast<double>(now_.count);
  return (4 * r * d) + (form() == Form::rows ? 2 * r * r : 0);
}

void DampedFactor::apply(MatrixView<float> body, MatrixView<float> last, Buffer<float>& scratch) const {
  const std::size_t width = body.cols;
  const bool apart = last.data != nullptr;
  const bool dense = form() == Form::dense;
  const std::size_t inner = dense ? dimension_ : now_.count;
  const std::span<float> memory = scratch.span(2 * body.rows * inner);
  const auto keep = static_cast<float>(1 / gamma_);
  const MatrixView<const float> rows = now_.rows.held_matrix(dense ? 0 : now_.count, dimension_);
  const std::size_t size = form() == Form::panel ? 0 : inner;
  const MatrixView<const float> inverse = inverse_.held_matrix(size, size);
  const Split split = Split::columns(body.rows, static_cast<double>(body.rows) * flops_per_row());
  parallel_for(split.blocks(), [&](std::size_t i) {
    const std::size_t first = split.first(i);
    const std::size_t count = split.count(i);
    const MatrixView<float> x = body.rows_from(first, count);
    const MatrixView<float> x_last = apart ? last.rows_from(first, count) : last;
    const MatrixView<float> t(memory.data() + (2 * first * inner), count, inner);
    if (dense) {
      for (std::size_t row = 0; row < count; ++row) {
        for (std::size_t j = 0; j < width; ++j) t(row, j) = x(row, j);
        if (apart) t(row, width) = x_last(row, 0);
      }
      blas::gemm(1.0F, t, inverse.columns(0, width), 0.0F, x);
      if (apart) blas::gemm(1.0F, t, inverse.columns(width, 1), 0.0F, x_last);
      return;
    }
    blas::gemm(1.0F, x, rows.columns(0, width).transposed(), 0.0F, t);
    if (apart) blas::gemm(1.0F, x_last, rows.columns(width, 1).transposed(), 1.0F, t);
    MatrixView<float> multiplied = t;
    if (form() == Form::panel) {
      for (std::size_t row = 0; row < count; ++row) {
        for (std::size_t k = 0; k < inner; ++k)
          t(row, k) *= static_cast<float>(1 / (gamma_ * (now_.squares[k] + gamma_)));
      }
    } else {
      multiplied = MatrixView<float>(t.data + t.size(), count, inner);
      blas::gemm(static_cast<float>(now_.scale / gamma_), t, inverse, 0.0F, multiplied);
    }
    blas::gemm(-1.0F, multiplied, rows.columns(0, width), keep, x);
    if (apart) blas::gemm(-1.0F, multiplied, rows.columns(width, 1), keep, x_last);
  });
}

void DampedFactor::apply_own(MatrixView<float> z, MatrixView<float> gram) const {
  const MatrixView<const float> rows = now_.rows.held_matrix(now_.count, dimension_);
  const MatrixView<const float> inverse = inverse_.held_matrix(now_.count, now_.count);
  const Split split = Split::columns(dimension_, product_flops(z.rows, now_.count, dimension_));
  parallel_for(split.blocks(), [&](std::size_t i) {
    blas::gemm(1.0F, inverse.rows_from(0, z.rows), rows.columns(split.first(i), split.count(i)), 0.0F,
               z.columns(split.first(i), split.count(i)));
  });
  for (std::size_t i = 0; i < gram.rows; ++i) {
    for (std::size_t j = 0; j < gram.cols; ++j) {
      const double identity = i == j ? 1 : 0;
      gram(i, j) = static_cast<float>((identity - (gamma_ * static_cast<double>(inverse(i, j)))) / now_.scale);
    }
  }
}

FactorState DampedFactor::state() const {
  const auto copy = [](std::span<const float> from) { return std::vector<float>(from.begin(), from.end()); };
  const bool dense = averaged_densely();
  return {.rows = copy(now_.rows.held(dense ? 0 : now_.count * dimension_)),
          .squares = now_.squares,
          .average = copy(now_.average.held(dense && started() ? dimension_ * dimension_ : 0)),
          .scale = now_.scale,
          .trace = now_.trace,
          .gamma = asked_gamma_,
          .refreshes = now_.refreshes,
          .dimension = dimension_};
}

void DampedFactor::restore(const FactorState& state) {
  const bool dense = averaged_densely();
  const bool panel = !dense && options_.history == FactorHistory::panel;
  const bool begun = state.refreshes > 0;
  const std::size_t count = state.rows.size() / dimension_;
  const bool fits = state.dimension == dimension_ && count * dimension_ == state.rows.size() &&
                    (!dense || count == 0) && state.average.size() == (dense && begun ? dimension_ * dimension_ : 0) &&
                    state.squares.size() == (panel ? count : 0) && (begun || count == 0) &&
                    (!begun || dense || count > 0);
  if (!fits) throw expected(ErrorCode::shape_mismatch, "the state of a factor like this one", "state", "another");
  require_finite("the rows of a state", state.rows);
  require_finite("the average of a state", state.average);
  double sum = state.scale + state.trace + state.gamma;
  for (const double square : state.squares) sum += square;
  if (!std::isfinite(sum)) throw expected(ErrorCode::not_finite, "finite numbers", "the state", "another");
  reset();
  now_.refreshes = state.refreshes;
  now_.rows_taken = now_.count = count;
  std::ranges::copy(state.rows, now_.rows.span(state.rows.size()).data());
  std::ranges::copy(state.average, now_.average.span(state.average.size()).data());
  now_.squares = state.squares;
  now_.scale = state.scale;
  now_.trace = state.trace;
  if (state.gamma > 0) damp(state.gamma);
}

void DampedFactor::reset() {
  now_.refreshes = now_.rows_taken = now_.count = 0;
  now_.squares.clear();
  now_.scale = now_.trace = 0;
  can_roll_back_ = false;
  asked_gamma_ = 0;
}

std::size_t DampedFactor::bytes() const {
  std::size_t sum = inverse_.bytes() + single_.bytes() + work_.bytes();
  for (const Kept* kept : {&now_, &other_})
    sum += kept->rows.bytes() + kept->average.bytes() + (kept->squares.size() * sizeof(double));
  return sum;
}

}  // namespace cgfac
