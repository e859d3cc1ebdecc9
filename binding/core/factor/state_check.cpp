#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

#include "core/base/error.h"
#include "core/block/finite.h"
#include "core/factor/factor.h"

/// Whether a state is one that a factor may have given, as far as is cheaper to tell than its numbers are to copy.
namespace cgfac {
namespace {

// What numbers of JavaScript count.
constexpr std::size_t most_refreshes = std::size_t{1} << 53U;

// The sums of float32 products that an average is made of, relative to their size
constexpr double sum_error = 1e-3;

// What squares that float32 does not hold may add up to
constexpr double lost_squares = 0x1p-80;

Error other_numbers(std::string_view what) {
  return expected(ErrorCode::invalid_value, what, "the state", "others");
}

double squared(float number) {
  return static_cast<double>(number) * static_cast<double>(number);
}

// a_ij² ≤ a_ii a_jj, a_ii ≥ 0 of a sum of outer products, by its lower triangle; adds its diagonal to `trace`
bool is_sum_of_squares(MatrixView<const float> average, double error, double& trace) {
  const double most = (1 + error) * (1 + error);
  for (std::size_t i = 0; i < average.rows; ++i) {
    const auto own = static_cast<double>(average(i, i));
    if (!(own >= 0)) return false;
    trace += own;
    for (std::size_t j = 0; j < i; ++j) {
      const auto other = static_cast<double>(average(j, j));
      if (!(squared(average(i, j)) <= most * (own + lost_squares) * (other + lost_squares))) return false;
    }
  }
  return true;
}

// scale·Σ‖r‖² is the trace, or an estimate of it from rows that were drawn of no more than 2³² times as many
bool is_drawn(std::span<const float> rows, double scale, double trace) {
  double sum = 0;
  for (const float number : rows) sum += squared(number);
  return scale * sum <= (0x1p32 * trace) + (std::max(scale, 1.0) * lost_squares);
}

// ‖p‖² of each row of a panel is what is kept of it, the largest first
bool is_panel(MatrixView<const float> panel, std::span<const double> squares) {
  if (!std::ranges::is_sorted(squares, std::greater{})) return false;
  const double error = (sum_error * (squares.empty() ? 0 : squares.front())) + lost_squares;
  for (std::size_t k = 0; k < panel.rows; ++k) {
    double sum = 0;
    for (std::size_t j = 0; j < panel.cols; ++j) sum += squared(panel(k, j));
    if (!(std::abs(sum - squares[k]) <= error)) return false;
  }
  return true;
}

}  // namespace

void Factor::check(const FactorState& state) const {
  const bool begun = state.refreshes > 0;
  const std::size_t d = dimension();
  const std::size_t count = state.rows.size() / d;
  const bool averaged = average_size() > 0;
  bool fits = state.dimension == d && count * d == state.rows.size() && (!averaged || count == 0) &&
              state.average.size() == (begun ? average_size() : 0) && state.squares.size() == (panel() ? count : 0) &&
              (begun || count == 0) && (!begun || averaged || count > 0) &&
              state.own <= (averaged || panel() ? state.own : count);
  const bool ends_in_ones = homogeneous_ && !averaged && !panel();
  for (std::size_t i = 0; fits && ends_in_ones && i < count; ++i) fits = state.rows[(i * d) + features_] == 1;
  if (!fits) throw expected(ErrorCode::shape_mismatch, "the state of a factor like this one", "state", "another");
  require_finite("the rows of a state", state.rows);
  require_finite("the average of a state", state.average);
  const bool follows = std::isnan(state.trace) && !averaged && !panel();
  const double sum =
      std::accumulate(state.squares.begin(), state.squares.end(), state.scale + (follows ? 0 : state.trace));
  if (!std::isfinite(sum)) throw expected(ErrorCode::not_finite, "finite numbers", "the state", "another");
  const auto negative = [](double number) { return number < 0; };
  if (state.scale < 0 || state.trace < 0 || std::ranges::any_of(state.squares, negative))
    throw expected(ErrorCode::invalid_value, "squares, their sums and their scale of 0 and more", "the state", "less");
  if (state.refreshes > most_refreshes)
    throw expected(ErrorCode::invalid_value, "at most 2^53 refreshes", "the state", "more");
  if (begun && averaged) check_average(state);
  if (begun && !averaged && !panel() && !follows && !is_drawn(state.rows, state.scale, state.trace))
    throw other_numbers("rows with the sum of squares that is told of them");
  if (begun && panel() && !is_panel({state.rows.data(), count, d}, state.squares))
    throw other_numbers("rows of a panel with the squared norms that are told of them, the largest first,");
}

void Factor::check_average(const FactorState& state) const {
  const std::size_t whole = options_.blocks.count > 0 ? block_side() : dimension();
  const std::size_t side = options_.diagonal ? 1 : whole;
  // each refresh rounds once, and is forgotten by and by
  const double refreshes = std::min(static_cast<double>(state.refreshes), 1 / (1 - options_.decay));
  const double error = sum_error + (0x1p-22 * refreshes);
  double trace = 0;
  for (std::size_t at = 0; at < state.average.size(); at += side * side) {
    if (!is_sum_of_squares({state.average.data() + at, side, side}, error, trace))
      throw other_numbers("averages of squares and of products that squares bound");
  }
  if (!(std::abs(trace - state.trace) <= sum_error * std::max(trace, state.trace)))
    throw other_numbers("an average with the trace that is told of it");
}

}  // namespace cgfac
