#include "core/linalg/lapack.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <vector>

#include "core/base/error.h"
#include "support/reference.h"

using namespace cgfac;
using namespace cgfac::test;

namespace {

using Numbers = std::vector<double>;

constexpr std::size_t sizes[] = {1, 2, 3, 17, 70};

// X Xᵀ/n + I/2: symmetric, eigenvalues of about 1/2 to 4.
Numbers positive_definite(std::size_t n) {
  const auto x = random_numbers<double>(n * n, 11);
  Numbers k(n * n);
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j < n; ++j) {
      double sum = i == j ? 0.5 : 0;
      for (std::size_t l = 0; l < n; ++l) sum += x[(i * n) + l] * x[(j * n) + l] / static_cast<double>(n);
      k[(i * n) + j] = sum;
    }
  }
  return k;
}

// A matrix of that many rows by its diagonals.
Numbers tridiagonal(std::span<const double> diagonal, std::span<const double> off_diagonal) {
  const std::size_t n = diagonal.size();
  Numbers t(n * n);
  for (std::size_t i = 0; i < n; ++i) {
    t[(i * n) + i] = diagonal[i];
    if (i + 1 < n) t[(i * n) + i + 1] = t[((i + 1) * n) + i] = off_diagonal[i];
  }
  return t;
}

// Qᵀ M Q, Q's rows in `q`.
Numbers congruent(const Numbers& q, const Numbers& m, std::size_t n) {
  Numbers half(n * n);
  Numbers result(n * n);
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j < n; ++j) {
      for (std::size_t l = 0; l < n; ++l) half[(i * n) + j] += m[(i * n) + l] * q[(l * n) + j];
    }
  }
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j < n; ++j) {
      for (std::size_t l = 0; l < n; ++l) result[(i * n) + j] += q[(l * n) + i] * half[(l * n) + j];
    }
  }
  return result;
}

Numbers diagonal_matrix(std::span<const double> values) {
  return tridiagonal(values, Numbers(values.size()));
}

double largest_difference(const Numbers& x, const Numbers& y) {
  double largest = 0;
  for (std::size_t i = 0; i < x.size(); ++i) largest = std::max(largest, std::abs(x[i] - y[i]));
  return largest;
}

// Backward stable: rounding × n × ‖K‖, with a factor of ten.
double rounding(std::size_t n) {
  return 10 * std::numeric_limits<double>::epsilon() * static_cast<double>(n) * 4;
}

// Element (i, i + 1) and (i + 1, i) of a tridiagonal matrix whose norm is about one.
struct Tridiagonal {
  Numbers diagonal;
  Numbers off_diagonal;
  explicit Tridiagonal(std::size_t n)
      : diagonal(random_numbers<double>(n, 12)), off_diagonal(random_numbers<double>(n, 13)) {
    for (double& element : diagonal) element /= 3;
    for (double& element : off_diagonal) element /= 3;
  }
};

}  // namespace

TEST_CASE("lapack: eigenvectors and ascending eigenvalues give back the matrix") {
  for (const std::size_t n : sizes) {
    CAPTURE(n);
    const Numbers k = positive_definite(n);
    Numbers q = k;
    Numbers values(n);
    Numbers work(blas::eigen_work(n));
    blas::eigen({q.data(), n, n}, values, work);
    CHECK(std::ranges::is_sorted(values));
    CHECK(largest_difference(congruent(q, diagonal_matrix(values), n), k) < rounding(n));
  }
}

TEST_CASE("lapack: a tridiagonal matrix and its basis give back the matrix") {
  for (const std::size_t n : sizes) {
    CAPTURE(n);
    const Numbers k = positive_definite(n);
    Numbers h = k;
    Numbers diagonal(n);
    Numbers off_diagonal(n);
    Numbers work(blas::tridiagonal_work(n));
    blas::tridiagonalise({h.data(), n, n}, diagonal, off_diagonal, work);
    CHECK(largest_difference(congruent(h, tridiagonal(diagonal, off_diagonal), n), k) < rounding(n));
  }
}

TEST_CASE("lapack: eigenvectors of a tridiagonal matrix give it back, and may lie in rows with gaps") {
  for (const std::size_t n : sizes) {
    CAPTURE(n);
    const Tridiagonal t(n);
    const std::size_t stride = n + 3;
    Numbers gaps(n * stride, 7);
    const MatrixView<double> z(gaps.data(), n, n, stride, 1);
    Numbers values = t.diagonal;
    Numbers scratch = t.off_diagonal;
    Numbers work(blas::tridiagonal_eigen_work(n));
    blas::tridiagonal_eigen(values, scratch, z, work);
    Numbers rows(n * n);
    for (std::size_t i = 0; i < n; ++i) {
      for (std::size_t j = 0; j < n; ++j) rows[(i * n) + j] = z(i, j);
      CHECK(gaps[(i * stride) + n] == 7);
    }
    CHECK(largest_difference(congruent(rows, diagonal_matrix(values), n), tridiagonal(t.diagonal, t.off_diagonal)) <
          rounding(n));
  }
}

TEST_CASE("lapack: the eigenvectors of two blocks merge into those of the whole") {
  for (const std::size_t n : std::span(sizes).subspan(1)) {
    CAPTURE(n);
    const Tridiagonal t(n);
    const std::size_t cut = n / 2;
    const double rho = t.off_diagonal[cut - 1];
    Numbers values = t.diagonal;
    values[cut - 1] -= std::abs(rho);
    values[cut] -= std::abs(rho);
    Numbers off_diagonal = t.off_diagonal;
    Numbers vectors(n * n);
    const MatrixView<double> z(vectors.data(), n, n);
    Numbers work(std::max(blas::tridiagonal_eigen_work(n), blas::merge_work(n)));
    const std::span<double> all(values);
    const std::span<double> off(off_diagonal);
    blas::tridiagonal_eigen(all.first(cut), off.first(cut), z.rows_from(0, cut).columns(0, cut), work);
    blas::tridiagonal_eigen(all.subspan(cut), off.subspan(cut), z.rows_from(cut, n - cut).columns(cut, n - cut), work);
    blas::merge_eigen(values, z, rho, cut, work);
    CHECK(largest_difference(congruent(vectors, diagonal_matrix(values), n), tridiagonal(t.diagonal, t.off_diagonal)) <
          rounding(n));
  }
}

TEST_CASE("lapack: a Cholesky factor solves and inverts") {
  for (const std::size_t n : sizes) {
    CAPTURE(n);
    const Numbers k = positive_definite(n);
    const Numbers x = random_numbers<double>(n, 14);
    Numbers y(n);
    for (std::size_t i = 0; i < n; ++i) {
      for (std::size_t j = 0; j < n; ++j) y[i] += k[(i * n) + j] * x[j];
    }
    Numbers factor = k;
    CHECK(blas::cholesky({factor.data(), n, n}));
    blas::cholesky_solve({factor.data(), n, n}, y);
    // the condition is below 10
    CHECK(largest_difference(x, y) < 10 * rounding(n));
    blas::cholesky_inverse({factor.data(), n, n});
    Numbers identity(n * n);
    for (std::size_t i = 0; i < n; ++i) {
      for (std::size_t j = 0; j < n; ++j) {
        for (std::size_t l = 0; l < n; ++l) identity[(i * n) + j] += factor[(i * n) + l] * k[(l * n) + j];
        CHECK(factor[(i * n) + j] == factor[(j * n) + i]);
      }
    }
    CHECK(largest_difference(identity, diagonal_matrix(Numbers(n, 1))) < 10 * rounding(n));
  }
}

TEST_CASE("lapack: a matrix that is not positive definite is told") {
  Numbers k{1, 2, 2, 1};
  CHECK_FALSE(blas::cholesky({k.data(), 2, 2}));
}

TEST_CASE("lapack: too little room, gaps and shapes that do not fit are refused") {
  Numbers k(20);
  Numbers few(3);
  Numbers work(200);
  const MatrixView<double> square(k.data(), 4, 4);
  CHECK_THROWS_AS(blas::eigen(square, few, work), Error);
  CHECK_THROWS_AS(blas::eigen({k.data(), 4, 4, 5, 1}, std::span(work).first(4), std::span(work).subspan(4)), Error);
  CHECK_THROWS_AS((void)blas::cholesky({k.data(), 4, 5}), Error);
  CHECK_THROWS_AS(blas::cholesky_solve(square, few), Error);
  CHECK_THROWS_AS(blas::merge_eigen(std::span(work).first(4), square, 1, 3, std::span(work).subspan(4)), Error);
}
