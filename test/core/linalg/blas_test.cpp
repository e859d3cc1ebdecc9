#include "core/linalg/blas.h"

#include <doctest/doctest.h>

#include <vector>

#include "core/base/error.h"
#include "support/reference.h"

using namespace cgfac;
using namespace cgfac::test;

TEST_CASE("blas: gemm with every combination of layouts equals plain loops") {
  constexpr std::size_t rows = 5;
  constexpr std::size_t inner = 7;
  constexpr std::size_t cols = 3;
  const auto a = random_numbers<float>(rows * inner, 1);
  const auto b = random_numbers<float>(inner * cols, 2);
  const auto start = random_numbers<float>(rows * cols, 3);
  const auto view = [](auto* data, std::size_t m, std::size_t n, bool transposed) {
    using T = std::remove_pointer_t<decltype(data)>;
    return transposed ? MatrixView<T>(data, n, m).transposed() : MatrixView<T>(data, m, n);
  };
  for (int flags = 0; flags < 8; ++flags) {
    CAPTURE(flags);
    auto c = start;
    const auto a_view = view(a.data(), rows, inner, (flags & 1) != 0);
    const auto b_view = view(b.data(), inner, cols, (flags & 2) != 0);
    const auto c_view = view(c.data(), rows, cols, (flags & 4) != 0);
    const auto before = view(start.data(), rows, cols, (flags & 4) != 0);
    blas::gemm(2.0F, a_view, b_view, 0.5F, c_view);
    for (std::size_t i = 0; i < rows; ++i) {
      for (std::size_t j = 0; j < cols; ++j) {
        double sum = 0.5 * static_cast<double>(before(i, j));
        for (std::size_t k = 0; k < inner; ++k)
          sum += 2.0 * static_cast<double>(a_view(i, k)) * static_cast<double>(b_view(k, j));
        // nine roundings of numbers below 20
        CHECK(static_cast<double>(c_view(i, j)) == doctest::Approx(sum).epsilon(1e-5));
      }
    }
  }
}

TEST_CASE("blas: shapes that do not fit are refused") {
  std::vector<float> numbers(12);
  const MatrixView<float> three_by_four(numbers.data(), 3, 4);
  CHECK_THROWS_AS(blas::gemm(1.0F, three_by_four, three_by_four, 0.0F, three_by_four), Error);
}

TEST_CASE("blas: a Gram matrix is symmetric to the bit") {
  const auto x = random_numbers<float>(9 * 31, 4);
  std::vector<float> k(81);
  blas::gram(0.25F, MatrixView<const float>(x.data(), 9, 31), MatrixView<float>(k.data(), 9, 9));
  for (std::size_t i = 0; i < 9; ++i) {
    for (std::size_t j = 0; j < 9; ++j) CHECK(k[(i * 9) + j] == k[(j * 9) + i]);
  }
}
