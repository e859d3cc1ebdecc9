#include "core/layer/trust_region.h"

#include <doctest/doctest.h>

#include <vector>

#include "core/layer/layer.h"
#include "support/solutions.h"
#include "support/steps.h"

using namespace cgfac;
using namespace cgfac::test;

namespace {

constexpr double eta = 0.3;

// Layers with their exact solves, and the same in float64.
struct Solves {
  std::vector<RandomLayer> layers{
      {.shape = {.in_features = 12, .out_features = 9, .bias = true}, .input_rows = 7, .output_rows = 7},
      {.shape = {.in_features = 5, .out_features = 14}, .input_rows = 20, .output_rows = 6},
      {.shape = {.in_features = 3, .out_features = 2, .bias = true}, .input_rows = 1, .output_rows = 1}};
  std::vector<SolvedSpectrum> spectra = solve();

  [[nodiscard]] std::vector<SolvedSpectrum> solve() const {
    std::vector<SolvedSpectrum> result(layers.size());
    for (std::size_t i = 0; i < layers.size(); ++i) {
      Layer layer(layers[i].shape, {.damping = {.value = 0.3, .relative = true}, .method = Method::exact});
      layer.record_batch(layers[i].batch());
      std::vector<float> x(layers[i].size());
      const FisherBlock block = layers[i].block();
      result[i].damping = layer
                              .precondition(layer.batch(), block.view(std::span<const float>(layers[i].v)),
                                            block.view(std::span(x)), nullptr, &result[i].spectrum)
                              .damping;
    }
    return result;
  }
  // ½η²Σ xᵀF x of the solutions with every λ times c
  [[nodiscard]] double divergence(double c) const {
    double sum = 0;
    for (std::size_t i = 0; i < layers.size(); ++i) {
      const FisherBlock block = layers[i].block();
      const DenseSolver dense{.block = block};
      const auto x = dense.solve(c * spectra[i].damping, widened(layers[i].v));
      sum += dot(x, dense_apply(block, 0, std::span<const double>(x)));
    }
    return eta * eta / 2 * sum;
  }
};

}  // namespace

TEST_CASE("trust region: λ's times the factor have the divergence that was asked for") {
  const Solves solves;
  double before = 0;
  for (const double c : {1e-3, 0.1, 1.0, 7.0, 1e4}) {
    CAPTURE(c);
    const double kl = solves.divergence(c);
    const double factor = trust_factor(solves.spectra, kl, eta);
    CHECK(factor == doctest::Approx(c).epsilon(1e-4));
    CHECK(solves.divergence(factor) == doctest::Approx(kl).epsilon(1e-4));
    CHECK(factor > before);
    before = factor;
    // half the length, a quarter of the divergence
    CHECK(trust_factor(solves.spectra, kl / 4, eta / 2) == doctest::Approx(factor).epsilon(1e-9));
  }
}

TEST_CASE("trust region: where no factor meets it, the nearest") {
  const Solves solves;
  CHECK(trust_factor(solves.spectra, 1e30, eta) == 1e-6);
  CHECK(trust_factor(solves.spectra, 1e-30, eta) == doctest::Approx(1e8).epsilon(1e-9));
  CHECK(trust_factor({}, 1, eta) == 1);
}
