#include "core/gram_operator.h"

#include <doctest/doctest.h>

#include "layers.h"

using namespace cgfac;
using namespace cgfac::test;

namespace {

// A random pair (s, C) with its W, made by the operator itself: x = (F + λI)(s, C) of a pair whose W is zero only for C = 0.
struct Pair {
  std::vector<double> memory;
  GramVector vector;

  explicit Pair(const GramOperator& gram)
      : memory(2 * gram.projected_rows() * gram.projected_cols()),
        vector{.s = 0,
               .c = {memory.data(), gram.projected_rows(), gram.projected_cols()},
               .w = {memory.data() + (memory.size() / 2), gram.projected_rows(), gram.projected_cols()}} {}
};

// the vector of weight space that a pair stands for, s·v + P_g C P_aᵀ
std::vector<float> weights(const RandomLayer& layer, const FisherBlock& block, const GramOperator& gram,
                           const GramVector& x) {
  std::vector<float> result = layer.v;
  gram.expand(x, static_cast<float>(x.s), block.view(std::span<float>(result)));
  return result;
}

}  // namespace

TEST_CASE("gram operator: pairs behave as the weight-space vectors they stand for") {
  // float32 expansion of the pair and float32 U: a few 2⁻²⁴ relative to the largest term
  constexpr double tolerance = 5e-6;
  for (const RandomLayer& layer : awkward_layers()) {
    CAPTURE(layer.name());
    constexpr double damping = 0.3;
    const FisherBlock block = layer.block();
    const BlockTraces sums = traces(block);
    const WeightView<const float> v = block.view(std::span<const float>(layer.v));
    GramOperator::Workspace workspace;
    const GramOperator gram(block, sums, damping, v, cgfac::dot(v, v), workspace);

    // v is (1, 0); (F + λI) v has a C, and so have its images
    Pair x(gram);
    Pair y(gram);
    Pair z(gram);
    x.vector.s = 1;
    gram.apply(x.vector, y.vector);
    gram.apply(y.vector, z.vector);

    const auto x_weights = weights(layer, block, gram, x.vector);
    const auto y_weights = weights(layer, block, gram, y.vector);
    const auto z_weights = weights(layer, block, gram, z.vector);
    CHECK(relative_error(y_weights, dense_apply(block, damping, std::span<const float>(x_weights))) <= tolerance);
    CHECK(relative_error(z_weights, dense_apply(block, damping, std::span<const float>(y_weights))) <= tolerance);
    CHECK(gram.dot(y.vector, z.vector) == doctest::Approx(test::dot(y_weights, z_weights)).epsilon(tolerance));
    CHECK(gram.dot(x.vector, z.vector) ==
          doctest::Approx(gram.dot(y.vector, y.vector)).epsilon(1e-12));  // x′(F²x) = (Fx)′(Fx)

    gram.axpy(-0.5, y.vector, z.vector);  // z ← z − y/2
    auto expected = difference(z_weights, y_weights);
    for (std::size_t i = 0; i < expected.size(); ++i) expected[i] += 0.5 * static_cast<double>(y_weights[i]);
    CHECK(relative_error(weights(layer, block, gram, z.vector), expected) <= tolerance);
    gram.xpay(x.vector, 2.0, z.vector);  // z ← x + 2 z
    for (std::size_t i = 0; i < expected.size(); ++i)
      expected[i] = static_cast<double>(x_weights[i]) + (2 * expected[i]);
    CHECK(relative_error(weights(layer, block, gram, z.vector), expected) <= tolerance);
    CHECK(gram.dot(z.vector, z.vector) == doctest::Approx(test::dot(expected, expected)).epsilon(tolerance));
  }
}

TEST_CASE("gram operator: a start's residual is v − (F + λI) c x₀") {
  for (const RandomLayer& layer : awkward_layers()) {
    CAPTURE(layer.name());
    constexpr double damping = 0.3;
    const FisherBlock block = layer.block();
    const BlockTraces sums = traces(block);
    const WeightView<const float> v = block.view(std::span<const float>(layer.v));
    const auto x0 = random_numbers<float>(layer.size(), 11);
    for (const StartScaling scaling : {StartScaling::plain, StartScaling::optimal}) {
      GramOperator::Workspace workspace;
      GramOperator gram(block, sums, damping, v, cgfac::dot(v, v), workspace);
      Pair r(gram);
      const double c = gram.start(v, block.view(std::span<const float>(x0)), scaling, r.vector);
      auto expected = dense_apply(block, damping, std::span<const float>(x0));
      if (scaling == StartScaling::optimal)
        CHECK(c == doctest::Approx(test::dot(layer.v, x0) / test::dot(x0, expected)).epsilon(1e-5));
      for (std::size_t i = 0; i < expected.size(); ++i)
        expected[i] = static_cast<double>(layer.v[i]) - (c * expected[i]);
      const double residual =
          std::sqrt(std::max(0.0, gram.dot(r.vector, r.vector)));  // rounding may make a zero negative
      CHECK(std::abs(residual - norm(expected)) <= 1e-5 * norm(layer.v));
    }
  }
}
