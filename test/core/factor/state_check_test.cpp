// States that a factor may have given, and those that it cannot.
#include <doctest/doctest.h>

#include <cmath>
#include <functional>
#include <utility>

#include "core/base/error.h"
#include "core/factor/factor.h"
#include "support/sides.h"
#include "support/steps.h"

using namespace cgfac;
using namespace cgfac::test;

namespace {

// Rows of which one column is another's multiple, so that bounds of products are reached, times a power of ten
void refresh_with(Factor& factor, std::size_t features, bool homogeneous, int exponent, std::uint64_t seed) {
  RandomSide rows = random_side(SideForm::rows, 24, features, homogeneous, seed);
  const auto scale = static_cast<float>(std::pow(10.0, exponent));
  for (std::size_t i = 0; i < rows.side.count(); ++i) {
    float* const row = rows.numbers.data() + (i * features);
    for (std::size_t j = 0; j < features; ++j) row[j] = scale * (j == 1 ? 3 * row[0] / scale : row[j]);
  }
  factor.refresh({.rows = rows.side, .trace = trace(rows.side), .owner = {}});
}

void for_each_form(auto&& check) {
  check(FactorOptions{.history = FactorHistory::panel, .rank = 4, .panel_rows = 5, .dense_dimension = 0}, "panel");
  check(FactorOptions{.history = FactorHistory::dense, .decay = 0.9}, "dense");
  check(FactorOptions{.history = FactorHistory::dense, .decay = 0.9999999}, "dense, long");
  check(FactorOptions{.history = FactorHistory::none}, "rows");
  check(FactorOptions{.diagonal = true}, "diagonal");
  check(FactorOptions{.blocks = {.count = 2}}, "blocks");
}

void check_refused(Factor& factor, const FactorState& state, const std::function<void(FactorState&)>& spoil) {
  FactorState spoiled = state;
  spoil(spoiled);
  CHECK_THROWS_AS(factor.restore(spoiled), Error);
  CHECK(factor.state().average == state.average);
  CHECK(factor.state().rows == state.rows);
}

}  // namespace

TEST_CASE("state of a factor: its own is taken back, of numbers of any size") {
  for_each_form([](const FactorOptions& options, const char* form) {
    CAPTURE(form);
    for (const int exponent : {-30, -22, -19, -10, 0, 10, 15}) {
      CAPTURE(exponent);
      for (const bool homogeneous : {false, true}) {
        Factor factor(8, homogeneous, options);
        for (std::uint64_t seed = 0; seed < 40; ++seed) {
          refresh_with(factor, 8, homogeneous, exponent + static_cast<int>(seed % 3), seed);
          CHECK_NOTHROW(factor.check(factor.state()));
        }
      }
    }
  });
}

TEST_CASE("state of a factor: other numbers are refused, and change nothing") {
  for_each_form([](const FactorOptions& options, const char* form) {
    CAPTURE(form);
    Factor factor(8, false, options);
    for (std::uint64_t seed = 0; seed < 3; ++seed) refresh_with(factor, 8, false, 0, seed);
    const FactorState state = factor.state();
    const auto every = [&](auto&& change) {
      check_refused(factor, state, [&](FactorState& spoiled) {
        for (float& number : spoiled.average) number = change(number);
        for (float& number : spoiled.rows) number = change(number);
      });
    };
    every([](float x) { return 1e17F * x; });
    every([](float) { return 3e38F; });
    if (!state.average.empty()) {
      every([](float x) { return -x; });
      check_refused(factor, state, [](FactorState& x) { x.trace *= 2; });
    }
    if (state.average.size() > 8)
      check_refused(factor, state, [](FactorState& x) { x.average[x.average.size() == 64 ? 8 : 4] *= 4; });
    if (!state.squares.empty()) {
      check_refused(factor, state, [](FactorState& x) { std::swap(x.squares[0], x.squares[1]); });
      check_refused(factor, state, [](FactorState& x) { x.squares[0] *= 2; });
    }
  });
}
