#include "core/factor/damped_inverse.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/base/error.h"
#include "core/factor/damping.h"
#include "support/sides.h"
#include "support/solutions.h"
#include "support/steps.h"

using namespace cgfac;
using namespace cgfac::test;

namespace {

// How a factor comes to each form of its inverse.
struct InverseVariant {
  InverseView::Form form;
  FactorOptions options;
  std::size_t count;
};
std::vector<InverseVariant> inverse_variants() {
  using enum InverseView::Form;
  return {{.form = woodbury, .options = {}, .count = 9},
          {.form = woodbury, .options = {}, .count = 1},
          {.form = matrix, .options = {}, .count = 70},  // rows that outnumber the dimension
          {.form = panel, .options = {.history = FactorHistory::panel, .rank = 40, .dense_dimension = 0}, .count = 9},
          {.form = panel, .options = {.history = FactorHistory::panel, .rank = 40, .dense_dimension = 0}, .count = 70},
          {.form = panel, .options = {.history = FactorHistory::panel, .rank = 5, .dense_dimension = 0}, .count = 9},
          {.form = matrix, .options = {.history = FactorHistory::dense}, .count = 9},
          {.form = matrix, .options = {.history = FactorHistory::dense}, .count = 70},
          {.form = diagonal, .options = {.diagonal = true}, .count = 9}};
}

DenseMatrix diagonal_of(DenseMatrix matrix) {
  for (std::size_t i = 0; i < matrix.rows; ++i) {
    for (std::size_t j = 0; j < matrix.cols; ++j) matrix(i, j) = i == j ? matrix(i, j) : 0;
  }
  return matrix;
}

// A factor of random rows, with its inverse, and both in float64: factor and eigenvalues as the float32 factor has
// them.
struct DampedFactor {
  static constexpr std::size_t features = 20;
  InverseVariant variant;
  bool homogeneous;
  RandomSide rows = random_side(SideForm::rows, variant.count, features, homogeneous, 3);
  Factor factor{features, homogeneous, variant.options};
  DampedInverse inverse{};
  DenseMatrix dense{.rows = 0, .cols = 0};
  Spectra spectra{};

  DampedFactor(const InverseVariant& form, bool ones) : variant(form), homogeneous(ones) {
    factor.refresh({.rows = rows.side, .trace = trace(rows.side)});
    dense = variant.options.diagonal ? diagonal_of(factor_matrix(rows.side)) : factor_matrix(factor.side());
    spectra = jacobi(dense);
  }
  void damp(double gamma) { inverse.damp(factor, gamma); }
  // The bound of the forms: rounding of F, and of what is taken from each other, times the condition.
  [[nodiscard]] double bound(double gamma) const { return 16 * unit_roundoff * (spectra.largest() + gamma) / gamma; }
  // x (F + γI)⁻¹
  [[nodiscard]] DenseMatrix solve(const DenseMatrix& x, double gamma) const {
    DenseMatrix coordinates = x * spectra.vectors;
    for (std::size_t i = 0; i < x.rows; ++i) {
      for (std::size_t j = 0; j < x.cols; ++j) coordinates(i, j) /= std::max(spectra.values[j], 0.0) + gamma;
    }
    return coordinates * spectra.vectors.transposed();
  }
};

void for_each_factor(auto&& check) {
  for (const InverseVariant& variant : inverse_variants()) {
    for (const bool homogeneous : {false, true}) {
      CAPTURE(static_cast<int>(variant.form));
      CAPTURE(variant.count);
      CAPTURE(variant.options.rank);
      CAPTURE(homogeneous);
      DampedFactor damped_factor(variant, homogeneous);
      for (const double gamma : {10.0, 0.3, 0.01}) {
        CAPTURE(gamma);
        damped_factor.damp(gamma);
        check(damped_factor, gamma);
      }
    }
  }
}

DenseMatrix matrix_of(const std::vector<float>& numbers, std::size_t rows, std::size_t cols) {
  return {.rows = rows, .cols = cols, .numbers = widened(numbers)};
}

}  // namespace

TEST_CASE("damped inverse: largest eigenvalue and effective rank of a side") {
  // one direction repeated: eigenvalues 2·5 = 10 (and with a homogeneous coordinate nothing else), 0, 0, …
  const std::vector<float> row{1, 2, 0, 0, 0, 0};
  std::vector<float> rows;
  for (int i = 0; i < 4; ++i) rows.insert(rows.end(), row.begin(), row.end());
  for (const FactorHistory history : {FactorHistory::none, FactorHistory::panel, FactorHistory::dense}) {
    Factor factor(6, false, {.history = history, .rank = 3, .dense_dimension = 0});
    const Side side{.rows = {rows.data(), 4, 6}, .scale = 0.5};
    factor.refresh({.rows = side, .trace = trace(side)});
    DampedInverse inverse;
    inverse.damp(factor, 10);
    CHECK(factor.moments().trace == doctest::Approx(10));
    CHECK(inverse.largest() == doctest::Approx(10).epsilon(1e-6));
    CHECK(inverse.effective_rank() == doctest::Approx(0.5).epsilon(1e-6));
  }
  // p − y of two classes: a vector of ones, where a power method might start, is what its factor maps to 0
  const std::vector<float> errors{0.25F, -0.25F, -0.5F, 0.5F};
  const Side side{.rows = {errors.data(), 2, 2}, .scale = 0.5};
  Factor softmax(2, false, {.history = FactorHistory::dense});
  softmax.refresh({.rows = side, .trace = trace(side)});
  DampedInverse inverse;
  inverse.damp(softmax, 1);
  CHECK(inverse.largest() == doctest::Approx(0.3125).epsilon(1e-6));
  CHECK(largest_eigenvalue(side) == doctest::Approx(0.3125).epsilon(1e-6));
  CHECK(largest_eigenvalue({.rows = {errors.data(), 2, 2}, .homogeneous = true, .scale = 0.5}) ==
        doctest::Approx(1.0428).epsilon(1e-3));
}

TEST_CASE("damped inverse: of a matrix's diagonal the numbers are the products of the means of rows and columns") {
  const std::vector<float> numbers{1, 2, 3, 0, 0, 0, 3, 2, 1, 2, 2, 8};  // squares of 4 × 3
  Factor factor(12, false, {.diagonal = true, .columns = 3});
  std::vector<float> row(12);
  std::ranges::transform(numbers, row.begin(), [](float number) { return std::sqrt(number); });
  const Side side{.rows = {row.data(), 1, 12}};
  factor.refresh({.rows = side, .trace = trace(side)});
  DampedInverse inverse;
  inverse.damp(factor, 0.5);
  std::vector<float> x(12, 1.0F);
  inverse.apply({.body = {x.data(), 1, 12}});
  const std::vector<double> rows{6, 0, 6, 12};  // sums, of 24 in all
  const std::vector<double> columns{6, 6, 12};
  for (std::size_t i = 0; i < 12; ++i)
    CHECK(static_cast<double>(x[i]) == doctest::Approx(1 / ((rows[i / 3] * columns[i % 3] / 24) + 0.5)).epsilon(1e-6));
}

TEST_CASE("damped inverse: a factor that is exact needs no damping, another one does") {
  const std::vector<float> ones(3, 1.0F);
  const Side side{.rows = {ones.data(), 3, 1}, .scale = 1.0 / 3};
  for (const bool exact : {true, false}) {
    Factor factor(1, false, {.diagonal = true, .exact = exact});
    factor.refresh({.rows = side, .trace = trace(side)});
    DampedInverse inverse;
    if (!exact) {
      CHECK_THROWS_AS(inverse.damp(factor, 0), Error);
      continue;
    }
    inverse.damp(factor, 0);
    std::vector<float> x{2.5F};
    inverse.apply({.body = {x.data(), 1, 1}});
    CHECK(x[0] == 2.5F);
    const FactoredDamping relative =
        factored_damping(factor.moments(), factor.moments(), {.value = 2, .relative = true});
    CHECK(relative.input == 0);
    CHECK(relative.output == doctest::Approx(2));
  }
}

TEST_CASE("damped inverse: each form has the eigenvalues of its factor") {
  for_each_factor([](const DampedFactor& of, double gamma) {
    CHECK(of.inverse.view().form == of.variant.form);
    CHECK(of.inverse.gamma() == gamma);
    double rank = 0;
    for (const double value : of.spectra.values) rank += std::max(value, 0.0) / (std::max(value, 0.0) + gamma);
    CHECK(of.inverse.effective_rank() == doctest::Approx(rank).epsilon(of.bound(gamma)));
    CHECK(of.inverse.largest() <= of.spectra.largest() * (1 + 1e-6));
    const double from_below = of.variant.form == InverseView::Form::panel ? 1 - 1e-6 : 0.5;  // a few steps of a method
    CHECK(of.inverse.largest() >= from_below * of.spectra.largest());
  });
}

TEST_CASE("damped inverse: apply is x (F + γI)⁻¹ of float64, the homogeneous coordinate in place or apart") {
  for_each_factor([](DampedFactor& of, double gamma) {
    const std::size_t d = of.factor.dimension();
    constexpr std::size_t features = DampedFactor::features;
    for (const std::size_t count : {std::size_t{1}, std::size_t{7}, std::size_t{600}}) {  // less and more than a chunk
      CAPTURE(count);
      std::vector<float> x = random_numbers<float>(count * d, 4);
      const DenseMatrix expected = of.solve(matrix_of(x, count, d), gamma);
      std::vector<float> apart = x;
      const MatrixView<float> whole(x.data(), count, d);
      of.inverse.apply({.body = whole.columns(0, features),
                        .last = of.homogeneous ? whole.columns(features, 1) : MatrixView<float>()});
      CHECK(relative_error(x, expected.numbers) <= of.bound(gamma));
      // the columns of a matrix that lies the other way round, the coordinate in an array of its own
      std::vector<float> body(count * features);
      std::vector<float> last(of.homogeneous ? count : 0);
      for (std::size_t i = 0; i < count; ++i) {
        for (std::size_t j = 0; j < features; ++j) body[(j * count) + i] = apart[(i * d) + j];
        if (of.homogeneous) last[i] = apart[(i * d) + features];
      }
      const MatrixView<float> column(last.data(), count, 1);
      of.inverse.apply({.body = MatrixView<float>(body.data(), features, count).transposed(),
                        .last = of.homogeneous ? column : MatrixView<float>()});
      for (std::size_t i = 0; i < count; ++i) {
        for (std::size_t j = 0; j < features; ++j) apart[(i * d) + j] = body[(j * count) + i];
        if (of.homogeneous) apart[(i * d) + features] = last[i];
      }
      CHECK(relative_error(apart, expected.numbers) <= of.bound(gamma));
    }
  });
}

TEST_CASE("damped inverse: the factor's own rows need no product with their own") {
  for_each_factor([](DampedFactor& of, double gamma) {
    const bool woodbury = of.variant.form == InverseView::Form::woodbury;
    CHECK(of.inverse.has_own(of.variant.count) == woodbury);
    CHECK_FALSE(of.inverse.has_own(of.variant.count + 1));
    if (!woodbury) return;
    const std::size_t d = of.factor.dimension();
    for (std::size_t own = 1; own <= of.variant.count; own += 4) {  // older rows may have filled the others up
      CAPTURE(own);
      DenseMatrix rows = dense_rows(of.factor.side());
      rows.rows = own;
      rows.numbers.resize(own * d);
      const DenseMatrix z = of.solve(rows, gamma);
      const DenseMatrix gram = rows * z.transposed();
      std::vector<float> own_z(own * d);
      std::vector<float> own_gram(own * own);
      of.inverse.apply_own({own_z.data(), own, d}, {own_gram.data(), own, own});
      // free of cancellation: z to the rounding of S, whose condition is that of K + γI
      CHECK(relative_error(own_z, z.numbers) <= of.bound(gamma));
      CHECK(relative_error(own_gram, gram.numbers) <= of.bound(gamma));
    }
  });
}

TEST_CASE("damped inverse: is made anew when its factor has changed, and when γ has") {
  const InverseVariant variant{.form = InverseView::Form::woodbury, .options = {}, .count = 9};
  DampedFactor of(variant, true);
  const auto applied = [&] {
    std::vector<float> x = random_numbers<float>(21, 5);
    const MatrixView<float> whole(x.data(), 1, 21);
    of.inverse.apply({.body = whole.columns(0, 20), .last = whole.columns(20, 1)});
    return x;
  };
  of.damp(1);
  const auto first = applied();
  of.damp(2);
  CHECK(applied() != first);
  of.damp(1);
  CHECK(applied() == first);
  const RandomSide other = random_side(SideForm::rows, 9, 20, true, 6);
  of.factor.refresh({.rows = other.side, .trace = trace(other.side)});
  of.inverse.forget();
  of.damp(1);
  CHECK(applied() != first);
}

TEST_CASE("damped inverse: a damping beyond float32 is refused") {
  CHECK(can_damp(1e-37));
  CHECK(can_damp(1e37));
  CHECK_FALSE(can_damp(1e-39));
  CHECK_FALSE(can_damp(0));
  CHECK_FALSE(can_damp(-1));
  CHECK_FALSE(can_damp(std::numeric_limits<double>::quiet_NaN()));
  for (const InverseVariant& variant : inverse_variants()) {
    DampedFactor of(variant, false);
    for (const double gamma : {1e-39, 0.0, -1.0, std::numeric_limits<double>::quiet_NaN()})
      CHECK_THROWS_AS(of.damp(gamma), Error);
    of.damp(1);  // as if it had not been asked
    CHECK(of.inverse.gamma() == 1);
  }
  // γ in the range, but lost in the rounding of rows that repeat each other
  const std::vector<float> ones(40, 1e4F);
  const Side side{.rows = {ones.data(), 2, 20}};
  Factor factor(20, false, {});
  factor.refresh({.rows = side, .trace = trace(side)});
  DampedInverse inverse;
  CHECK_THROWS_WITH_AS(inverse.damp(factor, 1e-30),
                       "Expected a damping above the rounding of the rows for damping but received 1e-30", Error);
}
