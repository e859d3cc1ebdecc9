#include "core/kernels/matrix_product.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>

#include "core/base/error.h"
#include "core/threads/thread_pool.h"
#include "support/reference.h"

using namespace cgfac;
using namespace cgfac::test;

namespace {

struct Sizes {
  std::size_t m, n, k;
};

// One number, odd ones, and what is cut: into columns, into rows, in two and in four.
constexpr std::array<Sizes, 7> sizes{Sizes{1, 1, 1},     Sizes{3, 5, 7},      Sizes{17, 1, 9},   Sizes{1, 23, 8},
                                     Sizes{90, 261, 97}, Sizes{530, 40, 101}, Sizes{64, 520, 65}};
constexpr std::array<MatrixPair, 4> pairs{MatrixPair{0, 1}, MatrixPair{1, 0}, MatrixPair{1, 1}, MatrixPair{2, 0}};
constexpr std::size_t matrices = 3;

struct Problem {
  Sizes size;
  bool transpose_a = false;
  bool transpose_b = false;
  std::vector<float> a = random_numbers<float>(matrices * size.m * size.k, 1);
  std::vector<float> b = random_numbers<float>(matrices * size.k * size.n, 2);

  [[nodiscard]] static MatrixBatch batch(const std::vector<float>& values, std::size_t rows, std::size_t cols,
                                         bool transpose) {
    const MatrixView<const float> stored(values.data(), transpose ? cols : rows, transpose ? rows : cols);
    return {.first = transpose ? stored.transposed() : stored, .step = rows * cols};
  }
  [[nodiscard]] MatrixBatch left() const { return batch(a, size.m, size.k, transpose_a); }
  [[nodiscard]] MatrixBatch right() const { return batch(b, size.k, size.n, transpose_b); }
  [[nodiscard]] std::size_t places() const { return pairs.size() * size.m * size.n; }

  [[nodiscard]] std::vector<float> run(const Epilogue& epilogue) const {
    std::vector<float> out(places(), std::numeric_limits<float>::quiet_NaN());  // nothing of it may be read
    matrix_products(left(), right(), pairs, epilogue, out);
    return out;
  }

  // Σ_l A(i, l) B(l, j) in float64, pair by pair
  [[nodiscard]] std::vector<double> sums() const {
    std::vector<double> out;
    out.reserve(places());
    for (const MatrixPair& pair : pairs) {
      const MatrixView<const float> x = left().at(pair.a);
      const MatrixView<const float> y = right().at(pair.b);
      for (std::size_t i = 0; i < size.m; ++i) {
        for (std::size_t j = 0; j < size.n; ++j) {
          double sum = 0;
          for (std::size_t l = 0; l < size.k; ++l) sum += static_cast<double>(x(i, l)) * static_cast<double>(y(l, j));
          out.push_back(sum);
        }
      }
    }
    return out;
  }

  // φ(p, i, j, x) of the sums x
  template <typename Phi>
  [[nodiscard]] std::vector<double> transformed(std::vector<double> sums, Phi phi) const {
    for (std::size_t place = 0; place < sums.size(); ++place) {
      const std::size_t row = place / size.n;
      sums[place] = phi(row / size.m, row % size.m, place % size.n, sums[place]);
    }
    return sums;
  }
};

// Sums of at most 101 float32 products.
constexpr double tolerance = 2e-6;

struct Steps {
  std::size_t batch, row, col;
};

// Every way to repeat numbers over the places of an m × n result.
std::vector<Steps> every_broadcast(const Sizes& size) {
  return {{0, 0, 0}, {0, 0, 1}, {0, 1, 0}, {1, 0, 0}, {0, size.n, 1}, {size.n, 0, 1}, {size.m * size.n, size.n, 1}};
}

}  // namespace

TEST_CASE("matrix product: every transpose equals plain sums") {
  for (const Sizes& size : sizes) {
    for (const bool transpose_a : {false, true}) {
      for (const bool transpose_b : {false, true}) {
        CAPTURE(size.m);
        CAPTURE(size.n);
        CAPTURE(transpose_a);
        CAPTURE(transpose_b);
        const Problem problem{.size = size, .transpose_a = transpose_a, .transpose_b = transpose_b};
        CHECK(relative_error(problem.run({}), problem.sums()) <= tolerance);
      }
    }
  }
}

TEST_CASE("matrix product: a bias of every broadcast is added before the activation") {
  for (const Sizes& size : sizes) {
    CAPTURE(size.m);
    CAPTURE(size.n);
    const Problem problem{.size = size};
    const auto sums = problem.sums();
    const auto bias = random_numbers<float>(problem.places(), 3);
    for (const Steps& steps : every_broadcast(size)) {
      const Epilogue epilogue{.bias = {bias.data(), steps.batch, steps.row, steps.col}, .activation = Activation::relu};
      const auto expected = problem.transformed(sums, [&](std::size_t p, std::size_t i, std::size_t j, double x) {
        return std::max(0.0, x + static_cast<double>(bias[(p * steps.batch) + (i * steps.row) + (j * steps.col)]));
      });
      CHECK(norm(difference(problem.run(epilogue), expected)) <= tolerance * norm(expected) + 1e-30);
    }
  }
}

TEST_CASE("matrix product: activations") {
  using enum Activation;
  const auto below = [](double x, double value) { return x < 0 ? value : x; };
  for (const Sizes& size : sizes) {
    CAPTURE(size.m);
    CAPTURE(size.n);
    const Problem problem{.size = size};
    const auto sums = problem.sums();
    const auto alpha = random_numbers<float>(problem.places(), 4);
    const auto check = [&](const Epilogue& epilogue, auto phi) {
      CAPTURE(static_cast<int>(epilogue.activation));
      const auto expected = problem.transformed(sums, phi);
      CHECK(norm(difference(problem.run(epilogue), expected)) <= tolerance * norm(expected) + 1e-30);
    };
    using Index = std::size_t;
    check({.activation = relu}, [&](Index, Index, Index, double x) { return below(x, 0); });
    check({.activation = relu6}, [&](Index, Index, Index, double x) { return std::min(6.0, below(x, 0)); });
    check({.activation = leaky_relu, .slope = 0.25F},
          [&](Index, Index, Index, double x) { return below(x, 0.25 * x); });
    check({.activation = sigmoid}, [&](Index, Index, Index, double x) { return 1 / (1 + std::exp(-x)); });
    check({.activation = elu}, [&](Index, Index, Index, double x) { return below(x, std::expm1(x)); });
    for (const Steps& steps : every_broadcast(size)) {
      check({.activation = prelu, .slopes = {alpha.data(), steps.batch, steps.row, steps.col}},
            [&](Index p, Index i, Index j, double x) {
              return below(x, static_cast<double>(alpha[(p * steps.batch) + (i * steps.row) + (j * steps.col)]) * x);
            });
    }
  }
}

TEST_CASE("matrix product: NaN stays NaN under every activation") {
  using enum Activation;
  Problem problem{.size = {3, 5, 7}};
  std::ranges::fill(problem.a, std::numeric_limits<float>::quiet_NaN());
  const float alpha = 0.5F;
  for (const Activation activation : {linear, relu, relu6, prelu, leaky_relu, sigmoid, elu}) {
    const auto out = problem.run({.activation = activation, .slope = alpha, .slopes = {.data = &alpha}});
    CHECK(std::ranges::all_of(out, [](float x) { return std::isnan(x); }));
  }
}

TEST_CASE("matrix product: the same bits for any number of threads") {
  const std::size_t before = ThreadPool::shared().size();
  for (const Sizes& size : sizes) {
    const Problem problem{.size = size, .transpose_a = true};
    const auto bias = random_numbers<float>(size.n, 3);
    const Epilogue epilogue{.bias = {.data = bias.data(), .col_step = 1}, .activation = Activation::sigmoid};
    ThreadPool::shared().resize(1);
    const auto alone = problem.run(epilogue);
    for (const std::size_t threads : {2U, 5U}) {
      ThreadPool::shared().resize(threads);
      const auto together = problem.run(epilogue);
      CHECK(std::memcmp(alone.data(), together.data(), alone.size() * sizeof(float)) == 0);
    }
  }
  ThreadPool::shared().resize(before);
}

TEST_CASE("matrix product: shapes that do not fit are refused") {
  const Problem problem{.size = {3, 5, 7}};
  std::vector<float> out(problem.places());
  const MatrixBatch wrong = Problem::batch(problem.b, 5, 7, false);
  CHECK_THROWS_AS(matrix_products(problem.left(), wrong, pairs, {}, out), Error);
  out.pop_back();
  CHECK_THROWS_AS(matrix_products(problem.left(), problem.right(), pairs, {}, out), Error);
}
