// Every method of a layer against the golden cases: exact, factored and per-sample solutions, given v and same batch.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "core/layer/layer.h"
#include "support/golden.h"
#include "support/layers.h"
#include "support/reference.h"

using namespace cgfac;
using namespace cgfac::test;

namespace {

LayerOptions options_of(Method method, double damping) {
  LayerOptions options{.damping = {.value = damping}};
  options.method = method;
  if (method == Method::kfac) options.factor.history = FactorHistory::dense;
  options.warm_start = WarmStart::none;
  options.cg_fac.cg = {.max_iterations = 400, .tolerance = 0};
  return options;
}

struct SolverSolution {
  std::vector<float> x;
  LayerSummary summary;
};

SolverSolution precondition(const GoldenCase& golden, const LayerOptions& options, Spectrum* spectrum = nullptr) {
  Layer layer(golden.shape(), options);
  layer.record_batch(golden.batch());
  const auto batch = layer.batch();
  const auto v = golden.weights<float>("v");
  SolverSolution result{.x = std::vector<float>(v.size()), .summary = {}};
  result.summary = layer.precondition(batch, batch->block().view(std::span<const float>(v)),
                                      batch->block().view(std::span<float>(result.x)), nullptr, spectrum);
  return result;
}

SolverSolution natural_gradient(const GoldenCase& golden, const LayerOptions& options, double factor = 1,
                                double keep = 0, float start = 0) {
  Layer layer(golden.shape(), options);
  const FisherBlock block = golden.block();
  SolverSolution result{.x = std::vector<float>(block.size(), start), .summary = {}};
  result.summary = layer.natural_gradient(
      golden.batch(), golden.loss_grads(),
      {.out = block.view(std::span<float>(result.x)), .factor = factor, .keep = keep}, nullptr, nullptr);
  return result;
}

// (λ + max E)/λ, the condition of the solution
double condition(const GoldenCase& golden, double damping) {
  return (damping + golden.largest_eigenvalue()) / damping;
}

}  // namespace

TEST_CASE("golden: exact") {
  // design bound: 4·2⁻²⁴·(λ + max E)/λ against float64
  for_each_damping([](const GoldenCase& golden, double damping, const std::string& index) {
    const auto expected = golden.weights<double>("exact" + index);
    const double bound = 4 * unit_roundoff * condition(golden, damping);
    const SolverSolution solution = precondition(golden, options_of(Method::exact, damping));
    CHECK(relative_error(solution.x, expected) <= bound);
    const auto own = golden.weights<double>("same_exact" + index);
    CHECK(relative_error(natural_gradient(golden, options_of(Method::exact, damping)).x, own) <= bound);
  });
}

TEST_CASE("golden: scalars") {
  // ⟨v, x⟩ loses to cancellation what ‖v‖² exceeds λ⟨v, x⟩ by, and ‖x‖² what ⟨v, x⟩ exceeds λ‖x‖² by: the condition
  // again
  for_each_damping([](const GoldenCase& golden, double damping, const std::string& index) {
    const auto expected = golden.numbers<double>("scalars" + index);
    const double bound = 16 * unit_roundoff * condition(golden, damping);
    const auto close = [&](const SolutionProducts& products) {
      CHECK(products.vx == doctest::Approx(expected[0]).epsilon(bound));
      CHECK(products.xfx == doctest::Approx(expected[1]).epsilon(bound));
      CHECK(products.xx == doctest::Approx(expected[2]).epsilon(bound * condition(golden, damping)));
    };
    Spectrum spectrum;
    close(precondition(golden, options_of(Method::exact, damping), &spectrum).summary.products);
    close(spectrum.at(damping).products);
    CHECK(spectrum.at(damping).lambda_max == doctest::Approx(golden.largest_eigenvalue()).epsilon(1e-5));
    // the same spectrum at every other damping of the case
    const auto dampings = golden.dampings();
    for (std::size_t i = 0; i < dampings.size(); ++i) {
      const auto other = golden.numbers<double>("scalars@" + std::to_string(i));
      const double other_bound = 16 * unit_roundoff * condition(golden, dampings[i]);
      CHECK(spectrum.at(dampings[i]).products.vx == doctest::Approx(other[0]).epsilon(other_bound));
      CHECK(spectrum.at(dampings[i]).products.xfx == doctest::Approx(other[1]).epsilon(other_bound));
    }
  });
}

TEST_CASE("golden: direct K-FAC is the exact solution, to float32 eigenvectors") {
  // errors of float32 eigenvectors, about √d·2⁻²⁴ each, are multiplied by the condition as those of U are
  for_each_damping([](const GoldenCase& golden, double damping, const std::string& index) {
    const double bound = 40 * unit_roundoff * condition(golden, damping);
    const SolverSolution solution = precondition(golden, options_of(Method::kfac, damping));
    CHECK(relative_error(solution.x, golden.weights<double>("exact" + index)) <= bound);
    const auto expected = golden.numbers<double>("scalars" + index);
    CHECK(solution.summary.products.vx == doctest::Approx(expected[0]).epsilon(bound));
    CHECK(solution.summary.products.xfx == doctest::Approx(expected[1]).epsilon(2 * bound));
    CHECK(relative_error(natural_gradient(golden, options_of(Method::kfac, damping)).x,
                         golden.weights<double>("same_exact" + index)) <= bound);
  });
}

TEST_CASE("golden: factored damping") {
  for_each_damping([](const GoldenCase& golden, double damping, const std::string& index) {
    for (const Method method : {Method::exact, Method::kfac, Method::automatic}) {
      CAPTURE(static_cast<int>(method));
      LayerOptions options = options_of(method, damping);
      options.damping_mode = DampingMode::factored;
      const auto expected = golden.weights<double>("factored" + index);
      const SolverSolution solution = precondition(golden, options);
      CHECK(relative_error(solution.x, expected) <= 1e-3);
      CHECK(solution.summary.products.vx == doctest::Approx(dot(golden.weights<float>("v"), expected)).epsilon(1e-3));
      const SolverSolution own = natural_gradient(golden, options);
      const auto own_expected = golden.weights<double>("same_factored" + index);
      CHECK(relative_error(own.x, own_expected) <= 1e-3);
      CHECK(own.summary.products.vx == doctest::Approx(dot(golden.own_gradient(), own_expected)).epsilon(1e-3));
    }
  });
}

TEST_CASE("golden: the per-sample block") {
  for_each_damping([](const GoldenCase& golden, double damping, const std::string& index) {
    if (!golden.has("block" + index)) return;
    LayerOptions options = options_of(Method::exact, damping);
    options.block = Block::sample;
    const auto expected = golden.weights<double>("block" + index);
    const SolverSolution solution = precondition(golden, options);
    CHECK(relative_error(solution.x, expected) <= 5e-3);
    CHECK(solution.summary.products.vx == doctest::Approx(dot(golden.weights<float>("v"), expected)).epsilon(5e-3));
    // the batch's own gradient, formed first and handed over, gives the same
    const auto own = golden.own_gradient();
    Layer layer(golden.shape(), options);
    layer.record_batch(golden.batch());
    const auto batch = layer.batch();
    std::vector<float> given(own.begin(), own.end());
    std::vector<float> x(own.size());
    (void)layer.precondition(batch, batch->block().view(std::span<const float>(given)),
                             batch->block().view(std::span<float>(x)), nullptr, nullptr);
    CHECK(relative_error(natural_gradient(golden, options).x, x) <= 5e-3);
  });
}

TEST_CASE("golden: conjugate gradients to the end come to the exact solution, given v and same batch") {
  // ‖r‖ ≤ 2⁻¹¹‖v‖ at the float32 floor bounds the error by 2⁻¹¹ times the condition; half of that is the stop's own
  // bound
  for_each_damping([](const GoldenCase& golden, double damping, const std::string& index) {
    const double bound = 0x1p-11 * condition(golden, damping);
    if (bound > 0.5) return;  // truncated by the floor: the test of iterates speaks for those
    for (const GramBasis basis : {GramBasis::plain, GramBasis::tridiagonal}) {
      CAPTURE(static_cast<int>(basis));
      LayerOptions options = options_of(Method::cg, damping);
      options.cg_fac.space = Space::gram;
      options.cg_fac.basis = basis;
      CHECK(relative_error(precondition(golden, options).x, golden.weights<double>("exact" + index)) <= bound);
      CHECK(relative_error(natural_gradient(golden, options).x, golden.weights<double>("same_exact" + index)) <= bound);
    }
  });
}

TEST_CASE("golden: the natural gradient updates weights in place") {
  for_each_damping([](const GoldenCase& golden, double damping, const std::string&) {
    for (const DampingMode mode : {DampingMode::tikhonov, DampingMode::factored}) {
      LayerOptions options = options_of(Method::exact, damping);
      options.damping_mode = mode;
      const auto direction = natural_gradient(golden, options);
      const auto updated = natural_gradient(golden, options, -0.5, 1, 2.0F);  // 2 − 0.5 x
      std::vector<double> expected;
      for (const float x : direction.x) expected.push_back(2 - (0.5 * static_cast<double>(x)));
      CHECK(norm(difference(updated.x, expected)) <= 2e-6 * (norm(direction.x) + norm(expected)));
    }
  });
}

TEST_CASE("exact solver: one side diagonalised and one tridiagonal give what two spectra give") {
  // Large enough for the mixed bases; λ from far above to far below the rounding of K, where T is diagonalised as well.
  // Both solve the same float32 K and U, each within the design bound of the exact solution, so within twice that of
  // each other.
  struct Sizes {
    std::size_t m, n, input_rows, output_rows;
  };
  for (const Sizes& sizes : {Sizes{90, 120, 60, 60}, Sizes{120, 90, 70, 50}, Sizes{80, 150, 50, 75},
                             Sizes{60, 150, 100, 100}, Sizes{150, 60, 100, 100}, Sizes{70, 50, 200, 150},
                             Sizes{50, 71, 200, 150}, Sizes{60, 310, 300, 50}, Sizes{310, 60, 50, 300}}) {
    RandomLayer layer{.shape = {.in_features = sizes.n, .out_features = sizes.m, .bias = true},
                      .input_rows = sizes.input_rows,
                      .output_rows = sizes.output_rows};
    CAPTURE(layer.name());
    const FisherBlock block = layer.block();
    const auto loss_grads = random_numbers<float>(sizes.input_rows * sizes.m, 8);
    for (const double relative : {10.0, 1e-1, 1e-4}) {
      for (const int own : {0, 1, 2}) {
        if (own == 2 && sizes.input_rows != sizes.output_rows) continue;
        CAPTURE(relative);
        CAPTURE(own);
        Layer preconditioner(layer.shape, {.damping = {.value = relative, .relative = true}, .method = Method::exact});
        const auto solve_with = [&](Spectrum* spectrum, std::vector<float>& x) {
          x.resize(layer.size());
          const WeightView<float> out = block.view(std::span<float>(x));
          if (own != 0) {
            const float* const rows = own == 1 ? loss_grads.data() : layer.output_grads.data();
            return preconditioner.natural_gradient(layer.batch(), {rows, sizes.input_rows, sizes.m}, {.out = out},
                                                   nullptr, spectrum);
          }
          preconditioner.record_batch(layer.batch());
          return preconditioner.precondition(preconditioner.batch(), block.view(std::span<const float>(layer.v)), out,
                                             nullptr, spectrum);
        };
        std::vector<float> mixed;
        std::vector<float> expected;
        Spectrum spectrum;
        const LayerSummary summary = solve_with(nullptr, mixed);
        const LayerSummary reference = solve_with(&spectrum, expected);
        const double damping = summary.damping;
        const double condition = (damping + reference.exact->values.lambda_max) / damping;
        CHECK(std::isnan(summary.exact->values.lambda_max));
        CHECK(relative_error(mixed, expected) <= 8 * unit_roundoff * condition);
        CHECK(summary.products.vx == doctest::Approx(reference.products.vx).epsilon(8 * unit_roundoff * condition));
        CHECK(summary.products.xfx == doctest::Approx(reference.products.xfx).epsilon(8 * unit_roundoff * condition));
      }
    }
  }
}
