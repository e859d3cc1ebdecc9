#include "core/factor/factor.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "core/base/error.h"
#include "core/block/fisher_block.h"
#include "core/block/weight_vector.h"
#include "core/linalg/blas.h"
#include "core/linalg/symmetric.h"

namespace cgfac {
namespace {

void forget(std::shared_ptr<const void>& owner, MatrixView<const float>& borrowed) {
  owner.reset();
  borrowed = {};
}

}  // namespace

Factor::Factor(std::size_t features, bool homogeneous, const FactorOptions& options)
    : features_(features), homogeneous_(homogeneous), options_(options) {}

bool Factor::dense() const {
  if (by_number()) return false;
  return options_.history == FactorHistory::dense ||
         (options_.history == FactorHistory::panel && dimension() <= options_.dense_dimension);
}

MatrixView<const float> Factor::stack_of(const Kept& kept) const {
  return kept.borrowed.data != nullptr ? kept.borrowed
                                       : MatrixView<const float>(kept.rows.held_matrix(kept.count, features_));
}

Side Factor::side() const {
  Side side{.rows = {nullptr, 0, features_}, .homogeneous = homogeneous_};
  if (by_number()) return side;
  if (dense()) {
    side.covariance = now_.average.held_matrix(dimension(), dimension());
  } else if (panel()) {
    const MatrixView<const float> rows = now_.rows.held_matrix(now_.count, dimension());
    side.rows = rows.columns(0, features_);
    if (homogeneous_) side.last = rows.columns(features_, 1);
  } else {
    side.rows = stack_of(now_);
    side.scale = now_.scale;
  }
  return side;
}

FactorMoments Factor::moments() const {
  FactorMoments moments{.trace = now_.trace,
                        .kept_trace = now_.trace,
                        .dimension = dimension(),
                        .held = dimension(),
                        .exact = options_.exact,
                        .squared = options_.blocks.one_damping};
  if (options_.blocks.count > 0) moments.dimension = moments.held = options_.blocks.count * block_side();
  if (panel()) {
    double sum = 0;
    for (const double square : now_.squares) sum += square;
    moments.kept_trace = std::min(sum, now_.trace);
    moments.held = std::max<std::size_t>(now_.count, 1);
  }
  return moments;
}

void Factor::refresh(const Fresh& fresh) {
  can_roll_back_ = false;
  if (!fresh.average.empty()) {
    refresh_given(fresh);
  } else if (options_.diagonal) {
    refresh_diagonal(fresh);
  } else if (options_.blocks.count > 0) {
    refresh_blocks(fresh);
  } else if (dense()) {
    refresh_average(fresh);
  } else if (panel()) {
    refresh_panel(fresh);
  } else {
    refresh_rows(fresh);
  }
  other_.refreshes = now_.refreshes + 1;
  other_.own = fresh.rows.count();
  std::swap(now_, other_);
  can_roll_back_ = true;
}

void Factor::roll_back() {
  if (!can_roll_back_) return;
  std::swap(now_, other_);
  settle();
}

void Factor::settle() {
  forget(other_.owner, other_.borrowed);
  can_roll_back_ = false;
}

// New rows before older ones, and of those as many as fill it up. Rows of a batch with another scale are multiplied so
// that each weighs as much as a fresh one does.
void Factor::refresh_rows(const Fresh& fresh) {
  const std::size_t count = fresh.rows.count();
  const std::size_t there = options_.fills_up ? now_.own : now_.count;
  const std::size_t older = std::min(there, fresh.wanted - std::min(fresh.wanted, count));
  forget(other_.owner, other_.borrowed);
  other_.count = other_.rows_taken = count + older;
  other_.scale = fresh.rows.scale * static_cast<double>(count) / static_cast<double>(other_.count);
  if (older == 0 && fresh.owner != nullptr) {
    other_.borrowed = fresh.rows.rows;
    other_.owner = fresh.owner;
    other_.trace = fresh.trace;
    return;
  }
  const MatrixView<float> all = other_.rows.matrix(other_.count, features_);
  std::ranges::copy(fresh.rows.rows.elements(), all.data);
  const std::span<const float> before = stack_of(now_).rows_from(0, older).elements();
  const double weight = now_.scale * static_cast<double>(now_.count);
  const auto factor = static_cast<float>(std::sqrt(weight / (fresh.rows.scale * static_cast<double>(count))));
  float* const behind = all.data + (count * features_);
  if (older == 0 || factor == 1.0F) {
    std::ranges::copy(before, behind);
  } else {
    std::ranges::transform(before, behind, [factor](float x) { return factor * x; });
  }
  const double ones = homogeneous_ ? static_cast<double>(other_.count) : 0;
  other_.trace = other_.scale * (blas::dot(std::span<const float>(all.elements()), all.elements()) + ones);
}

// Of rows the homogeneous coordinate is written out.
FactorState Factor::state() const {
  FactorState state{.squares = now_.squares,
                    .scale = now_.scale,
                    .trace = now_.trace,
                    .refreshes = now_.refreshes,
                    .dimension = dimension(),
                    .own = now_.own};
  if (!started()) return state;
  if (average_size() > 0) {
    const std::span<const float> average = now_.average.held(average_size());
    state.average.assign(average.begin(), average.end());
    return state;
  }
  const Side side = this->side();
  state.rows.reserve(now_.count * dimension());
  for (std::size_t i = 0; i < now_.count; ++i) {
    for (std::size_t j = 0; j < features_; ++j) state.rows.push_back(side.rows(i, j));
    if (homogeneous_) state.rows.push_back(static_cast<float>(side.last_coordinate(i)));
  }
  return state;
}

std::size_t Factor::average_size() const {
  if (options_.diagonal) return dimension();
  if (options_.blocks.count > 0) return options_.blocks.count * block_side() * block_side();
  return dense() ? dimension() * dimension() : 0;
}

void Factor::restore(const FactorState& state) {
  check(state);
  reset();
  const std::size_t d = dimension();
  const std::size_t width = panel() ? d : features_;
  now_.count = state.rows.size() / d;
  now_.refreshes = state.refreshes;
  now_.rows_taken = now_.count;
  now_.own = state.own;
  const std::span<float> rows = now_.rows.span(now_.count * width);
  for (std::size_t i = 0; i < now_.count; ++i)
    std::copy_n(state.rows.data() + (i * d), width, rows.data() + (i * width));
  std::ranges::copy(state.average, now_.average.span(state.average.size()).data());
  if (dense() && !state.average.empty()) mirror_lower(now_.average.held_matrix(d, d));
  now_.squares = state.squares;
  now_.scale = state.scale;
  now_.trace = std::isnan(state.trace) ? cgfac::trace(side()) : state.trace;
}

void Factor::reset() {
  settle();
  forget(now_.owner, now_.borrowed);
  now_.refreshes = now_.rows_taken = now_.own = now_.count = 0;
  now_.squares.clear();
  now_.scale = now_.trace = 0;
}

std::size_t Factor::bytes() const {
  std::size_t sum = single_.bytes() + work_.bytes();
  for (const Kept* kept : {&now_, &other_})
    sum += kept->rows.bytes() + kept->average.bytes() + (kept->squares.size() * sizeof(double));
  return sum;
}

}  // namespace cgfac
