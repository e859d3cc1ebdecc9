#include "core/linalg/simd.h"

#include <doctest/doctest.h>

#include <cstddef>
#include <limits>
#include <vector>

#include "support/reference.h"

using namespace cgfac;
using namespace cgfac::test;

namespace {

using Numbers = std::vector<double>;

// Lengths on both sides of a vector register's.
constexpr std::size_t lengths[] = {1, 2, 7, 8, 33};

// Sums of up to 33 products of numbers below 1, in any order.
constexpr double rounding_of_sum = 1e-14;

}  // namespace

TEST_CASE("simd: direct advances the solution, then the direction, and sums over the new one") {
  for (const std::size_t count : lengths) {
    for (const bool apart : {false, true}) {
      CAPTURE(count);
      CAPTURE(apart);
      const auto r_c = random_numbers<double>(count, 1);
      const auto r_w = apart ? random_numbers<double>(count, 2) : r_c;
      const auto u = random_numbers<float>(count, 3);
      const auto before_c = random_numbers<double>(count, 4);
      const auto before_w = apart ? random_numbers<double>(count, 5) : before_c;
      const auto before_x = random_numbers<double>(count, 6);
      Numbers c = before_c;
      Numbers w = before_w;
      Numbers x = before_x;
      const auto sums = simd::direct(count, 0.5, 0.25, 2, r_c.data(), r_w.data(), u.data(), c.data(),
                                     apart ? w.data() : c.data(), x.data());
      simd::DirectSums expected;
      for (std::size_t i = 0; i < count; ++i) {
        const double next_c = r_c[i] + (0.25 * before_c[i]);
        const double next_w = r_w[i] + (0.25 * before_w[i]);
        const double y = (2 * static_cast<double>(u[i])) + next_w;
        CHECK(c[i] == doctest::Approx(next_c).epsilon(rounding_of_sum));
        if (apart) CHECK(w[i] == doctest::Approx(next_w).epsilon(rounding_of_sum));
        CHECK(x[i] == doctest::Approx(before_x[i] + (0.5 * before_c[i])).epsilon(rounding_of_sum));
        expected.u_c += static_cast<double>(u[i]) * next_c;
        expected.y_c += y * next_c;
        expected.y_y += y * y;
      }
      CHECK(sums.u_c == doctest::Approx(expected.u_c).epsilon(rounding_of_sum));
      CHECK(sums.y_c == doctest::Approx(expected.y_c).epsilon(rounding_of_sum));
      CHECK(sums.y_y == doctest::Approx(expected.y_y).epsilon(rounding_of_sum));
    }
  }
}

TEST_CASE("simd: a first direction is the residual, whatever the memory held") {
  const auto nan = std::numeric_limits<double>::quiet_NaN();
  const auto r = random_numbers<double>(9, 1);
  const auto u = random_numbers<float>(9, 2);
  Numbers c(9, nan);
  Numbers x(9, nan);
  (void)simd::direct(9, 0, 0, 1, r.data(), r.data(), u.data(), c.data(), c.data(), x.data());
  CHECK(c == r);
}

TEST_CASE("simd: reduce, axpy and the pair of sums are what their formulas say") {
  for (const std::size_t count : lengths) {
    CAPTURE(count);
    const auto p = random_numbers<double>(count, 1);
    const auto u = random_numbers<float>(count, 2);
    const auto image = random_numbers<double>(count, 3);
    const auto before = random_numbers<double>(count, 4);
    Numbers c = before;
    Numbers x = before;
    simd::reduce(count, 0.3, 0.7, 0.9, p.data(), u.data(), image.data(), c.data());
    simd::axpy(count, 0.6, p.data(), x.data());
    const auto sums = simd::pair_sums(count, u.data(), p.data(), image.data());
    double u_c = 0;
    double c_w = 0;
    for (std::size_t i = 0; i < count; ++i) {
      const double from_u = 0.7 * static_cast<double>(u[i]);
      CHECK(c[i] == doctest::Approx(before[i] - (0.3 * p[i]) - from_u - (0.9 * image[i])).epsilon(rounding_of_sum));
      CHECK(x[i] == doctest::Approx(before[i] + (0.6 * p[i])).epsilon(rounding_of_sum));
      u_c += static_cast<double>(u[i]) * p[i];
      c_w += p[i] * image[i];
    }
    CHECK(sums.u_c == doctest::Approx(u_c).epsilon(rounding_of_sum));
    CHECK(sums.c_w == doctest::Approx(c_w).epsilon(rounding_of_sum));
  }
}

TEST_CASE("simd: rows of products with a tridiagonal matrix equal plain sums") {
  for (const std::size_t count : lengths) {
    CAPTURE(count);
    const auto d = random_numbers<double>(count, 1);
    const auto e = random_numbers<double>(count, 2);
    const auto x = random_numbers<double>(count, 3);
    const auto above = random_numbers<double>(count, 4);
    const auto below = random_numbers<double>(count, 5);
    Numbers right(count);
    Numbers left(count);
    simd::tridiagonal_right(count, d.data(), e.data(), x.data(), right.data());
    simd::tridiagonal_left(count, 0.2, 0.4, 0.6, above.data(), x.data(), below.data(), left.data());
    for (std::size_t j = 0; j < count; ++j) {
      const double before = j > 0 ? e[j - 1] * x[j - 1] : 0;
      const double after = j + 1 < count ? e[j] * x[j + 1] : 0;
      CHECK(right[j] == doctest::Approx(before + (d[j] * x[j]) + after).epsilon(rounding_of_sum));
      CHECK(left[j] == doctest::Approx((0.2 * above[j]) + (0.4 * x[j]) + (0.6 * below[j])).epsilon(rounding_of_sum));
    }
  }
}

TEST_CASE("simd: a tridiagonal system is solved for every lane with its own multiple") {
  for (const std::size_t count : lengths) {
    CAPTURE(count);
    // diagonally dominant, so positive semidefinite
    Numbers d(count, 2.5);
    const auto e = random_numbers<double>(count, 1);
    Numbers mu(simd::lanes);
    for (std::size_t j = 0; j < simd::lanes; ++j) mu[j] = 0.1 * static_cast<double>(j);
    const auto right = random_numbers<double>(count * simd::lanes, 2);
    Numbers y = right;
    Numbers scratch(count * simd::lanes);
    simd::solve_tridiagonal(count, d.data(), e.data(), 0.5, mu.data(), y.data(), scratch.data());
    const auto at = [&](std::size_t i, std::size_t j) { return y[(i * simd::lanes) + j]; };
    for (std::size_t i = 0; i < count; ++i) {
      for (std::size_t j = 0; j < simd::lanes; ++j) {
        double sum = (0.5 + (mu[j] * d[i])) * at(i, j);
        if (i > 0) sum += mu[j] * e[i - 1] * at(i - 1, j);
        if (i + 1 < count) sum += mu[j] * e[i] * at(i + 1, j);
        // the condition of the systems is below 10
        CHECK(sum == doctest::Approx(right[(i * simd::lanes) + j]).epsilon(10 * rounding_of_sum));
      }
    }
  }
}
