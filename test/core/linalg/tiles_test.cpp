#include "core/linalg/tiles.h"

#include <doctest/doctest.h>

#include <vector>

#include "support/reference.h"

using namespace cgfac;
using namespace cgfac::test;

namespace {

// A of rows × inner, B of inner × cols, or the transposes of what is stored
template <typename T>
void check_product(std::size_t rows, std::size_t inner, std::size_t cols, bool transposed, double tolerance) {
  CAPTURE(rows);
  CAPTURE(transposed);
  const auto a = random_numbers<T>(rows * inner, 1);
  const auto b = random_numbers<T>(inner * cols, 2);
  auto c = random_numbers<T>(rows * cols, 3);
  const MatrixView<const T> a_view =
      transposed ? MatrixView<const T>(a.data(), inner, rows).transposed() : MatrixView<const T>(a.data(), rows, inner);
  const MatrixView<const T> b_view(b.data(), inner, cols);
  std::vector<double> expected(c.size());
  for (std::size_t i = 0; i < rows; ++i) {
    for (std::size_t j = 0; j < cols; ++j) {
      double sum = 0;
      for (std::size_t k = 0; k < inner; ++k)
        sum += static_cast<double>(a_view(i, k)) * static_cast<double>(b_view(k, j));
      expected[(i * cols) + j] = (2 * sum) - static_cast<double>(c[(i * cols) + j]);
    }
  }
  gemm_in_tiles(T{2}, a_view, b_view, T{-1}, MatrixView<T>(c.data(), rows, cols));
  CHECK(relative_error(c, expected) <= tolerance);
}

}  // namespace

TEST_CASE("tiles: a product in tiles equals plain loops, with one tile and with several") {
  for (const bool transposed : {false, true}) {
    for (const std::size_t rows : {1, 7, 130, 600}) {  // 600 rows of this work are four tiles
      check_product<float>(rows, 90, 70, transposed, 1e-6);
      check_product<double>(rows, 90, 70, transposed, 1e-14);
    }
  }
}

TEST_CASE("tiles: narrow and widen follow the strides of both matrices") {
  const auto numbers = random_numbers<double>(12, 4);
  const MatrixView<const double> from(numbers.data(), 3, 4);
  std::vector<float> single(15, 7.0F);
  const MatrixView<float> with_gaps = MatrixView<float>(single.data(), 3, 5).columns(0, 4);
  narrow(from, with_gaps);
  std::vector<float> turned(12);
  narrow(from, MatrixView<float>(turned.data(), 4, 3).transposed());
  std::vector<double> back(12);
  widen(with_gaps, {back.data(), 3, 4});
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK(single[(i * 5) + 4] == 7.0F);
    for (std::size_t j = 0; j < 4; ++j) {
      CHECK(with_gaps(i, j) == static_cast<float>(from(i, j)));
      CHECK(turned[(j * 3) + i] == with_gaps(i, j));
      CHECK(back[(i * 4) + j] == static_cast<double>(with_gaps(i, j)));
    }
  }
}
