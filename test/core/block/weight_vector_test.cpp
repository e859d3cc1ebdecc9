#include "core/block/weight_vector.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "core/base/error.h"
#include "core/block/finite.h"
#include "core/block/shape.h"
#include "support/reference.h"

using namespace cgfac;
using namespace cgfac::test;

namespace {

// One piece, and several of them.
const std::vector<WeightShape> shapes{{.out_features = 3, .in_features = 5, .bias = true},
                                      {.out_features = 4, .in_features = 2},
                                      {.out_features = 500, .in_features = 300, .bias = true},
                                      {.out_features = 300, .in_features = 500, .layout = KernelLayout::in_out}};

std::vector<double> combined(double keep, const std::vector<float>& y, double factor, const std::vector<float>& x) {
  std::vector<double> result(x.size());
  for (std::size_t i = 0; i < x.size(); ++i)
    result[i] = (keep * static_cast<double>(y[i])) + (factor * static_cast<double>(x[i]));
  return result;
}

}  // namespace

TEST_CASE("weight vector: every pass equals plain loops, in one piece and in several") {
  for (const WeightShape& shape : shapes) {
    const auto x = random_numbers<float>(shape.size(), 1);
    const auto y = random_numbers<float>(shape.size(), 2);
    const WeightView<const float> from = shape.view(std::span<const float>(x));
    CHECK(cgfac::dot(from, shape.view(std::span<const float>(y))) == doctest::Approx(test::dot(x, y)).epsilon(1e-5));

    auto z = y;
    const WeightView<float> to = shape.view(std::span<float>(z));
    axpy(-0.5F, from, to);
    CHECK(relative_error(z, combined(1, y, -0.5, x)) <= 1e-7);
    z = y;
    scale(3, to);
    CHECK(relative_error(z, combined(3, y, 0, x)) <= 1e-7);
    copy(from, to);
    CHECK(z == x);
    for (const auto& [factor, keep] : {std::pair{1.0, 0.0}, std::pair{-2.0, 0.0}, std::pair{2.0, 0.5}}) {
      z = y;
      write(from, {.out = to, .factor = factor, .keep = keep});
      CHECK(relative_error(z, combined(keep, y, factor, x)) <= 1e-7);
    }
    for (const double keep : {0.0, 0.5, 1.0}) {
      z = y;
      write_zero({.out = to, .keep = keep});
      CHECK(norm(difference(z, combined(keep, y, 0, x))) == 0);
    }
  }
}

TEST_CASE("weight vector: what is not kept is not read") {
  const WeightShape shape = shapes.front();
  const auto x = random_numbers<float>(shape.size(), 1);
  std::vector<float> z(shape.size(), std::numeric_limits<float>::quiet_NaN());
  write(shape.view(std::span<const float>(x)), {.out = shape.view(std::span<float>(z)), .factor = 2});
  CHECK(relative_error(z, combined(0, x, 2, x)) <= 1e-7);
  std::ranges::fill(z, std::numeric_limits<float>::quiet_NaN());
  write_zero({.out = shape.view(std::span<float>(z))});
  CHECK(norm(z) == 0);
}

TEST_CASE("weight vector: squares of a matrix leave its gaps out") {
  auto numbers = random_numbers<float>(70 * 9, 1);
  const MatrixView<const float> all(numbers.data(), 70, 9);
  double expected = 0;
  for (std::size_t i = 0; i < 70; ++i) {
    for (std::size_t j = 0; j < 4; ++j) expected += std::pow(static_cast<double>(all(i, 2 + j)), 2);
  }
  const MatrixView<const float> part = all.columns(2, 4);
  CHECK(squares_in_pieces(part) == doctest::Approx(expected).epsilon(1e-6));
  CHECK(squares_in_pieces(part.transposed()) == squares_in_pieces(part));
  CHECK(squares_in_pieces(all) == doctest::Approx(test::dot(numbers, numbers)).epsilon(1e-6));
  CHECK(squares_in_pieces({}) == 0);
}

TEST_CASE("finite: an index counts along the rows of a matrix, whatever lies between them") {
  auto numbers = random_numbers<float>(4 * 5, 1);
  const MatrixView<const float> part = MatrixView<const float>(numbers.data(), 4, 5).columns(0, 3);
  numbers[9] = std::numeric_limits<float>::quiet_NaN();  // in a gap
  CHECK_NOTHROW(require_finite("rows", part));
  numbers[11] = -std::numeric_limits<float>::infinity();  // row 2, column 1
  CHECK_THROWS_WITH_AS(require_finite("rows", part),
                       "Expected finite numbers for rows but received -Infinity at index 7", Error);
  CHECK_THROWS_WITH_AS(require_finite("numbers", std::span<const float>(numbers)),
                       "Expected finite numbers for numbers but received NaN at index 9", Error);
}
