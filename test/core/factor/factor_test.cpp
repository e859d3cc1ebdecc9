#include "core/factor/factor.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <memory>

#include "core/base/error.h"
#include "support/sides.h"
#include "support/solutions.h"
#include "support/steps.h"

using namespace cgfac;
using namespace cgfac::test;

namespace {

Factor::Fresh fresh_of(const Side& rows, std::size_t wanted = 0) {
  return {.rows = rows, .trace = trace(rows), .wanted = wanted, .owner = {}};
}

RandomSide rows_of(std::size_t count, std::size_t features, bool homogeneous, std::uint64_t seed) {
  return random_side(SideForm::rows, count, features, homogeneous, seed);
}

}  // namespace

TEST_CASE("factor: a diagonal averages squares, rolls back, and is restored with the same bits") {
  const FactorOptions options{.decay = 0.8, .diagonal = true};
  Factor factor(5, true, options);
  DenseAverage average{.decay = 0.8};
  const auto check = [&](const Factor& of) {
    const DenseMatrix mean = average.mean();
    for (std::size_t i = 0; i < 6; ++i)
      CHECK(static_cast<double>(of.diagonal()[i]) == doctest::Approx(mean(i, i)).epsilon(1e-6));
    CHECK(of.moments().trace == doctest::Approx(trace_of(mean)).epsilon(1e-6));
    CHECK(of.moments().held == 6);
  };
  for (std::uint64_t refresh = 0; refresh < 3; ++refresh) {
    const RandomSide rows = rows_of(4, 5, true, 10 + refresh);
    average.add(factor_matrix(rows.side));
    factor.refresh(fresh_of(rows.side));
    check(factor);
    factor.settle();
  }
  const RandomSide other = rows_of(7, 5, true, 20);
  factor.refresh(fresh_of(other.side));
  factor.roll_back();
  check(factor);
  Factor restored(5, true, options);
  restored.restore(factor.state());
  CHECK(std::ranges::equal(restored.diagonal(), factor.diagonal()));
  restored.refresh(fresh_of(other.side));
  factor.refresh(fresh_of(other.side));
  CHECK(std::ranges::equal(restored.diagonal(), factor.diagonal()));
  FactorState short_of_one = factor.state();
  short_of_one.average.pop_back();
  CHECK_THROWS_AS(restored.check(short_of_one), Error);
}

TEST_CASE("factor: the first batch weighs no more in an average than the others") {
  const auto rows = [](float value) { return std::vector<float>{value, 0, 0, value}; };
  for (const FactorHistory history : {FactorHistory::panel, FactorHistory::dense}) {
    Factor factor(2, false, {.history = history, .decay = 0.9, .rank = 2, .dense_dimension = 0});
    double sum = 0;
    double weights = 0;
    for (int k = 1; k <= 30; ++k) {
      const std::vector<float> batch = rows(static_cast<float>(k));
      factor.refresh(fresh_of({.rows = {batch.data(), 2, 2}}));
      sum = (0.9 * sum) + (2.0 * k * k);
      weights = (0.9 * weights) + 1;
      CHECK(factor.moments().trace == doctest::Approx(sum / weights).epsilon(1e-5));
      CHECK(factor.moments().kept_trace == doctest::Approx(factor.moments().trace).epsilon(1e-5));
    }
  }
}

TEST_CASE("factor: a panel takes its rows from everywhere in a batch, other ones at each refresh") {
  // 8 samples of 16 positions; position t is feature t. Taking every sixteenth row would see one position for ever.
  constexpr std::size_t positions = 16;
  constexpr std::size_t count = 8 * positions;
  std::vector<float> rows(count * positions);
  for (std::size_t i = 0; i < count; ++i) rows[(i * positions) + (i % positions)] = 1;
  Factor factor(positions, false,
                {.history = FactorHistory::panel, .decay = 0.99, .rank = 16, .panel_rows = 8, .dense_dimension = 0});
  constexpr int refreshes = 200;
  for (int k = 0; k < refreshes; ++k)
    factor.refresh(fresh_of({.rows = {rows.data(), count, positions}, .scale = 1.0 / 8}));
  const FactorState state = factor.state();
  for (std::size_t t = 0; t < positions; ++t) {
    double energy = 0;
    for (std::size_t k = 0; k < state.squares.size(); ++k)
      energy += std::pow(static_cast<double>(state.rows[(k * positions) + t]), 2);
    // 1 in all rows; a refresh draws position t 0, 1 or 2 times of 8 with weight 2: a mean over some 100 draws
    CHECK(energy == doctest::Approx(1).epsilon(0.5));
  }
}

TEST_CASE("factor: an average is that of float64, with and without a homogeneous coordinate") {
  // Each refresh rounds to float32 what it adds and what it keeps: a few 2⁻²⁴ of the whole, which the decay forgets.
  struct Variant {
    FactorHistory history;
    std::size_t dense_dimension;
  };
  for (const Variant& variant : {Variant{FactorHistory::dense, 0}, Variant{FactorHistory::panel, 0},
                                 Variant{FactorHistory::panel, 12}, Variant{FactorHistory::panel, 13}}) {
    for (const bool homogeneous : {false, true}) {
      CAPTURE(static_cast<int>(variant.history));
      CAPTURE(variant.dense_dimension);
      CAPTURE(homogeneous);
      Factor factor(12, homogeneous,
                    {.history = variant.history,
                     .decay = 0.8,
                     .rank = 100,
                     .panel_rows = 100,
                     .dense_dimension = variant.dense_dimension});
      DenseAverage average{.decay = 0.8};
      const std::size_t d = homogeneous ? 13 : 12;
      for (std::uint64_t k = 0; k < 6; ++k) {
        const RandomSide rows = rows_of(5, 12, homogeneous, 10 + k);
        factor.refresh(fresh_of(rows.side));
        average.add(factor_matrix(rows.side));
        const DenseMatrix expected = average.mean();
        CHECK(relative_error(factor_matrix(factor.side()).numbers, expected.numbers) <= 16 * unit_roundoff);
        const FactorMoments moments = factor.moments();
        CHECK(moments.dimension == d);
        CHECK(moments.trace == doctest::Approx(trace_of(expected)).epsilon(16 * unit_roundoff));
        CHECK(moments.kept_trace == doctest::Approx(moments.trace).epsilon(16 * unit_roundoff));
        const bool panel = variant.history == FactorHistory::panel && variant.dense_dimension < d;
        CHECK(factor.squares().empty() == !panel);
        CHECK(moments.held == (panel ? std::min<std::size_t>(5 * (k + 1), d) : d));
        CHECK(factor.rows_taken() == 5);
      }
    }
  }
}

TEST_CASE("factor: a panel of a small rank keeps the leading eigenvalues and the whole trace") {
  const RandomSide rows = rows_of(10, 20, true, 1);
  Factor factor(20, true, {.history = FactorHistory::panel, .rank = 3, .dense_dimension = 0});
  factor.refresh(fresh_of(rows.side));
  const DenseMatrix dense = factor_matrix(rows.side);
  std::vector<double> eigenvalues = jacobi(dense).values;
  std::ranges::sort(eigenvalues, std::ranges::greater());
  REQUIRE(factor.squares().size() == 3);
  double kept = 0;
  for (std::size_t k = 0; k < 3; ++k) {
    CHECK(factor.squares()[k] == doctest::Approx(eigenvalues[k]).epsilon(1e-5));
    kept += eigenvalues[k];
  }
  const FactorMoments moments = factor.moments();
  CHECK(moments.trace == doctest::Approx(trace_of(dense)).epsilon(1e-6));
  CHECK(moments.kept_trace == doctest::Approx(kept).epsilon(1e-5));
  CHECK(moments.held == 3);
  CHECK(moments.mean() == doctest::Approx(trace_of(dense) / 21).epsilon(1e-6));
  CHECK(moments.mean_held() == doctest::Approx(trace_of(dense) / 3).epsilon(1e-6));
  CHECK(moments.cut_off() == doctest::Approx((trace_of(dense) - kept) / 21).epsilon(1e-5));
  // its rows are orthogonal, and these are their squared norms
  const DenseMatrix panel = dense_rows(factor.side());
  const DenseMatrix products = panel * panel.transposed();
  for (std::size_t i = 0; i < 3; ++i) {
    for (std::size_t j = 0; j < 3; ++j)
      CHECK(std::abs(products(i, j) - (i == j ? factor.squares()[i] : 0)) <= 8 * unit_roundoff * factor.squares()[0]);
  }
}

TEST_CASE("factor: older rows fill up a window, each of them with the weight of a fresh one") {
  Factor factor(6, true, {.window = 25});
  std::vector<float> all;
  for (std::uint64_t step = 0; step < 4; ++step) {
    const RandomSide rows = rows_of(10, 6, true, 100 + step);
    factor.refresh(fresh_of(rows.side, 25));
    all.insert(all.begin(), rows.numbers.begin(), rows.numbers.end());
    const std::size_t count = std::min<std::size_t>(10 * (step + 1), 25);  // the last 10, 20, 25 and 25 rows
    all.resize(count * 6);
    const Side stacked{.rows = {all.data(), count, 6}, .homogeneous = true, .scale = 1 / static_cast<double>(count)};
    CHECK(relative_error(factor_matrix(factor.side()).numbers, factor_matrix(stacked).numbers) <= unit_roundoff);
    CHECK(factor.moments().trace == doctest::Approx(trace(stacked)).epsilon(1e-12));
    CHECK(factor.rows_taken() == count);
    CHECK(factor.own() == 10);
    factor.settle();
  }
  // rows that carry 1/4, with a scale that undoes it, stand for rows four times as large
  const RandomSide rows = rows_of(5, 4, false, 1);
  RandomSide small = rows_of(5, 4, false, 2);
  DenseMatrix mean = factor_matrix(rows.side);
  const DenseMatrix other = factor_matrix(small.side);
  for (std::size_t i = 0; i < mean.numbers.size(); ++i) mean.numbers[i] = (mean.numbers[i] + other.numbers[i]) / 2;
  for (float& x : small.numbers) x /= 4;
  small.side.scale *= 16;
  Factor output(4, false, {.window = 10});
  output.refresh(fresh_of(rows.side, 10));
  output.refresh(fresh_of(small.side, 10));
  CHECK(relative_error(factor_matrix(output.side()).numbers, mean.numbers) <= 4 * unit_roundoff);
}

TEST_CASE("factor: a batch that is filled up takes rows of the one before alone") {
  Factor factor(3, false, {.fills_up = true});
  const auto rows_from = [&factor] {
    const std::span<const float> numbers = factor.side().rows.elements();
    return std::vector<float>(numbers.begin(), numbers.end());
  };
  const auto stacked = [](const std::vector<float>& first, const std::vector<float>& second, std::size_t count) {
    std::vector<float> result = first;
    result.insert(result.end(), second.begin(), second.begin() + static_cast<std::ptrdiff_t>(3 * count));
    return result;
  };
  const RandomSide first = rows_of(8, 3, false, 1);
  const RandomSide second = rows_of(3, 3, false, 2);
  const RandomSide third = rows_of(2, 3, false, 3);
  factor.refresh(fresh_of(first.side, 0));
  CHECK(rows_from() == first.numbers);
  factor.refresh(fresh_of(second.side, 8));
  CHECK(rows_from() == stacked(second.numbers, first.numbers, 5));
  CHECK(factor.own() == 3);
  CHECK(factor.rows_taken() == 8);
  factor.refresh(fresh_of(third.side, 8));
  CHECK(rows_from() == stacked(third.numbers, second.numbers, 3));
  CHECK(factor.rows_taken() == 5);
  factor.refresh(fresh_of(first.side, 2));  // rows that outnumber those of the batch before fill nothing up
  CHECK(rows_from() == first.numbers);
}

TEST_CASE("factor: a refresh that is rolled back has not been, bit for bit") {
  for (const FactorHistory history : histories) {
    CAPTURE(static_cast<int>(history));
    const FactorOptions options{
        .history = history, .decay = 0.9, .rank = 6, .panel_rows = 5, .window = 30, .dense_dimension = 0};
    Factor factor(9, true, options);
    const RandomSide first = rows_of(20, 9, true, 1);
    const RandomSide second = rows_of(20, 9, true, 2);
    const RandomSide third = rows_of(20, 9, true, 3);
    factor.refresh(fresh_of(first.side, 30));
    factor.roll_back();
    CHECK_FALSE(factor.started());
    CHECK(factor.moments().trace == 0);
    factor.refresh(fresh_of(first.side, 30));
    factor.settle();
    const FactorState before = factor.state();
    factor.refresh(fresh_of(second.side, 30));
    CHECK_FALSE(same_bits(factor.state(), before));
    factor.roll_back();
    CHECK(same_bits(factor.state(), before));
    factor.roll_back();  // once is enough
    CHECK(same_bits(factor.state(), before));
    factor.refresh(fresh_of(third.side, 30));
    Factor undisturbed(9, true, options);
    undisturbed.refresh(fresh_of(first.side, 30));
    undisturbed.refresh(fresh_of(third.side, 30));
    CHECK(same_bits(factor.state(), undisturbed.state()));
    factor.settle();
    factor.roll_back();
    CHECK(same_bits(factor.state(), undisturbed.state()));
  }
}

TEST_CASE("factor: rows that have an owner are kept where they lie, as long as they may be wanted") {
  const auto owned = [](std::uint64_t seed) { return std::make_shared<const RandomSide>(rows_of(4, 3, true, seed)); };
  const auto take_in = [](Factor& factor, const std::shared_ptr<const RandomSide>& rows) {
    Factor::Fresh fresh = fresh_of(rows->side);
    fresh.owner = rows;
    factor.refresh(fresh);
  };
  const auto first = owned(1);
  const auto second = owned(2);
  Factor factor(3, true, {});
  take_in(factor, first);
  CHECK(factor.side().rows.data == first->numbers.data());
  CHECK(factor.bytes() == 0);
  factor.settle();
  take_in(factor, second);
  CHECK(factor.side().rows.data == second->numbers.data());
  CHECK(first.use_count() == 2);  // it may be rolled back to
  factor.roll_back();
  CHECK(factor.side().rows.data == first->numbers.data());
  CHECK(second.use_count() == 1);
  take_in(factor, second);
  factor.settle();
  CHECK(first.use_count() == 1);
  factor.reset();
  CHECK(second.use_count() == 1);
  CHECK_FALSE(factor.started());
}

TEST_CASE("factor: a restored factor goes on with the same bits") {
  for (const FactorHistory history : histories) {
    for (const bool homogeneous : {false, true}) {
      CAPTURE(static_cast<int>(history));
      const FactorOptions options{.history = history, .rank = 6, .panel_rows = 5, .window = 30, .dense_dimension = 0};
      Factor factor(9, homogeneous, options);
      Factor restored(9, homogeneous, options);
      const auto take_in = [&](Factor& to, std::uint64_t seed) {
        const RandomSide rows = rows_of(20, 9, homogeneous, seed);
        to.refresh(fresh_of(rows.side, 30));
      };
      take_in(restored, 9);
      restored.restore(factor.state());  // one that has not started
      CHECK_FALSE(restored.started());
      for (std::uint64_t seed = 0; seed < 3; ++seed) take_in(factor, seed);
      restored.restore(factor.state());
      CHECK(same_bits(restored.state(), factor.state()));
      restored.roll_back();  // there is nothing to go back to
      CHECK(same_bits(restored.state(), factor.state()));
      take_in(factor, 4);
      take_in(restored, 4);
      CHECK(same_bits(restored.state(), factor.state()));
    }
  }
}

TEST_CASE("factor: states of other factors and numbers that are not finite are refused, and change nothing") {
  for (const FactorHistory history : histories) {
    CAPTURE(static_cast<int>(history));
    const FactorOptions options{.history = history, .rank = 4, .dense_dimension = 0};
    Factor factor(5, false, options);
    const RandomSide rows = rows_of(8, 5, false, 1);
    factor.refresh(fresh_of(rows.side));
    const FactorState state = factor.state();
    const auto refused = [&](ErrorCode code, const std::function<void(FactorState&)>& spoil) {
      FactorState spoiled = state;
      spoil(spoiled);
      try {
        factor.restore(spoiled);
        FAIL("restored");
      } catch (const Error& error) {
        CHECK(error.code() == code);
      }
      CHECK(same_bits(factor.state(), state));
    };
    refused(ErrorCode::shape_mismatch, [](FactorState& x) { x.dimension = 6; });
    refused(ErrorCode::shape_mismatch, [](FactorState& x) { x.rows.push_back(0); });
    refused(ErrorCode::shape_mismatch, [](FactorState& x) { x.squares.push_back(0); });
    refused(ErrorCode::shape_mismatch, [](FactorState& x) { x.average.resize(7); });
    refused(ErrorCode::shape_mismatch, [](FactorState& x) { x.refreshes = 0; });
    constexpr float infinity = std::numeric_limits<float>::infinity();
    refused(ErrorCode::not_finite,
            [](FactorState& x) { (x.rows.empty() ? x.average : x.rows).back() = std::nanf(""); });
    refused(ErrorCode::not_finite, [](FactorState& x) { x.scale = static_cast<double>(infinity); });
    refused(ErrorCode::not_finite, [](FactorState& x) { x.trace = static_cast<double>(infinity); });
  }
}
