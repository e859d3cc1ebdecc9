#include "core/operator/gram_operator.h"

#include <doctest/doctest.h>

#include "support/layers.h"

using namespace cgfac;
using namespace cgfac::test;

namespace {

constexpr double damping = 0.3;
// float32 expansion of the pair and float32 U: a few 2⁻²⁴ relative to the largest term
constexpr double tolerance = 5e-6;

struct Problem {
  FisherBlock block;
  BlockTraces sums;
  GramWorkspace workspace;
  GramProblem problem;

  Problem(const RandomLayer& layer, bool started)
      : block(layer.block()),
        sums(traces(block)),
        problem(block, sums, {.v = block.view(std::span<const float>(layer.v))},
                GramOperator::scratch_numbers(block, started), workspace) {}
};

// Beside the awkward shapes those where one side has many more rows than the other: what a product holds back, and what
// a change of basis needs, is then more than what the vectors take.
std::vector<RandomLayer> operator_layers() {
  std::vector<RandomLayer> result = awkward_layers();
  result.push_back(
      {.shape = {.in_features = 310, .out_features = 40, .bias = true}, .input_rows = 300, .output_rows = 30});
  result.push_back({.shape = {.in_features = 40, .out_features = 310}, .input_rows = 30, .output_rows = 300});
  result.push_back({.shape = {.in_features = 310, .out_features = 40}, .input_rows = 300, .output_rows = 60});
  return result;
}

void for_each_layer_and_basis(auto&& check) {
  for (const RandomLayer& layer : operator_layers()) {
    CAPTURE(layer.name());
    for (const GramBasis basis : {GramBasis::plain, GramBasis::tridiagonal}) {
      CAPTURE(static_cast<int>(basis));
      check(layer, basis);
    }
  }
}

}  // namespace

TEST_CASE("gram operator: pairs behave as the weight-space vectors they stand for") {
  for_each_layer_and_basis([](const RandomLayer& layer, GramBasis basis) {
    const Problem setup(layer, false);
    const FisherBlock& block = setup.block;
    GramOperator gram(setup.problem, damping, basis, false);

    // p = v, then r = v − α (F + λI) v, then x = β v + …: every call of the loop against dense float64 arithmetic
    const auto fv = dense_apply(block, damping, std::span<const float>(layer.v));
    CHECK(gram.norm2(gram.r()) == doctest::Approx(dot(layer.v, layer.v)).epsilon(tolerance));
    CHECK(gram.advance_direction(gram.r(), 0, gram.p()) == doctest::Approx(dot(layer.v, fv)).epsilon(tolerance));
    constexpr double alpha = 0.25;
    std::vector<float> residual(layer.v.size());
    for (std::size_t i = 0; i < residual.size(); ++i)
      residual[i] = static_cast<float>(static_cast<double>(layer.v[i]) - (alpha * fv[i]));
    CHECK(gram.update_residual(alpha, gram.p(), gram.r()) ==
          doctest::Approx(dot(residual, residual)).epsilon(tolerance));
    gram.advance_solution(alpha, gram.p(), gram.x());

    constexpr double beta = 0.5;
    std::vector<float> direction(layer.v.size());
    for (std::size_t i = 0; i < direction.size(); ++i)
      direction[i] = residual[i] + static_cast<float>(beta * static_cast<double>(layer.v[i]));
    const auto image = dense_apply(block, damping, std::span<const float>(direction));
    CHECK(gram.advance_direction(gram.r(), beta, gram.p()) ==
          doctest::Approx(dot(direction, image)).epsilon(tolerance));
    for (std::size_t i = 0; i < residual.size(); ++i)
      residual[i] = static_cast<float>(static_cast<double>(residual[i]) - (alpha * image[i]));
    CHECK(gram.update_residual(alpha, gram.p(), gram.r()) ==
          doctest::Approx(dot(residual, residual)).epsilon(tolerance));
    gram.advance_solution(2 * alpha, gram.p(), gram.x());

    std::vector<double> expected(layer.v.size());
    for (std::size_t i = 0; i < expected.size(); ++i)
      expected[i] = alpha * (static_cast<double>(layer.v[i]) + (2 * static_cast<double>(direction[i])));
    std::vector<float> rounded(expected.begin(), expected.end());
    const auto f_expected = dense_apply(block, 0, std::span<const float>(rounded));
    const SolutionProducts products = gram.products();
    CHECK(products.vx == doctest::Approx(dot(layer.v, rounded)).epsilon(tolerance));
    CHECK(products.xfx == doctest::Approx(dot(rounded, f_expected)).epsilon(tolerance));
    CHECK(products.xx == doctest::Approx(dot(rounded, rounded)).epsilon(tolerance));

    std::vector<float> weights(layer.v.size());
    const double s = gram.x().s;
    const MatrixView<float> c = gram.solution();
    setup.problem.expand(s, c, {.out = block.view(std::span<float>(weights))}, gram.pass_scratch());
    CHECK(relative_error(weights, expected) <= tolerance);
  });
}

TEST_CASE("gram operator: a start's residual is v − (F + λI) c x₀") {
  for_each_layer_and_basis([](const RandomLayer& layer, GramBasis basis) {
    const auto x0 = random_numbers<float>(layer.size(), 11);
    for (const StartScaling scaling : {StartScaling::plain, StartScaling::optimal}) {
      const Problem setup(layer, true);
      const FisherBlock& block = setup.block;
      const WeightView<const float> v = block.view(std::span<const float>(layer.v));
      GramOperator gram(setup.problem, damping, basis, true);
      const double c = gram.start(v, block.view(std::span<const float>(x0)), scaling);
      auto expected = dense_apply(block, damping, std::span<const float>(x0));
      if (scaling == StartScaling::optimal)
        CHECK(c == doctest::Approx(test::dot(layer.v, x0) / test::dot(x0, expected)).epsilon(1e-5));
      for (std::size_t i = 0; i < expected.size(); ++i)
        expected[i] = static_cast<double>(layer.v[i]) - (c * expected[i]);
      const double residual = std::sqrt(std::max(0.0, gram.norm2(gram.r())));  // rounding may make a zero negative
      CHECK(std::abs(residual - norm(expected)) <= 1e-5 * norm(layer.v));
      const SolutionProducts products = gram.products();  // of c x₀ itself
      CHECK(products.vx == doctest::Approx(c * test::dot(layer.v, x0)).epsilon(1e-5));
      CHECK(products.xx == doctest::Approx(c * c * test::dot(x0, x0)).epsilon(1e-5));
      CHECK(products.xfx ==
            doctest::Approx(c * c * test::dot(x0, dense_apply(block, 0, std::span<const float>(x0)))).epsilon(1e-5));
    }
  });
}
