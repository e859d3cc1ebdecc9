#include "support/golden.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <optional>

#include "core/solver/cg_fac.h"
#include "support/reference.h"

using namespace cgfac;
using namespace cgfac::test;

namespace {

struct GoldenSolution {
  std::vector<float> x;
  CgFacSummary summary;
};

GoldenSolution solve(const GoldenCase& golden, double damping, Space space, int iterations,
                     const std::vector<float>* x0) {
  const FisherBlock block = golden.block();
  const auto v = golden.weights<float>("v");
  GoldenSolution result{.x = std::vector<float>(v.size()), .summary = {}};
  CgFacWorkspace workspace;
  std::optional<WeightView<const float>> start;
  if (x0 != nullptr) start = block.view(std::span<const float>(*x0));
  result.summary = cg_fac(
      block, {.value = damping}, block.view(std::span<const float>(v)), start, block.view(std::span<float>(result.x)),
      {.cg = {.max_iterations = iterations, .tolerance = 0}, .space = space}, workspace, nullptr, nullptr);
  return result;
}

}  // namespace

TEST_CASE("golden: apply") {
  // Four products of float32 numbers with sums of up to a few hundred terms: their rounding errors add up like a random
  // walk to a few 2⁻²⁴ relative to ‖F v‖; 2e-6 is 34 of them.
  for_each_damping([](const GoldenCase& golden, double damping, const std::string& index) {
    const FisherBlock block = golden.block();
    const auto v = golden.weights<float>("v");
    std::vector<float> out(v.size());
    FisherOperator::Workspace workspace;
    apply_fisher(block, {.value = damping}, block.view(std::span<const float>(v)), block.view(std::span<float>(out)),
                 workspace);
    CHECK(relative_error(out, golden.weights<double>("apply" + index)) <= 2e-6);
  });
}

TEST_CASE("golden: five iterations") {
  // Gram space iterates in float64 on float32 K and U (errors of a few 2⁻²⁴), which five iterations amplify by less
  // than 100 while the residual is above 1e-3; a warm start adds the rounding of the float32 residual v − (F + λI) x₀.
  // In weight space the recurrence itself is float32.
  for_each_damping([](const GoldenCase& golden, double damping, const std::string& index) {
    const auto residuals = golden.numbers<double>("residuals" + index);
    if (residuals[4] <= 1e-3) return;
    const auto expected = golden.weights<double>("cg_5" + index);
    CHECK(relative_error(solve(golden, damping, Space::gram, 5, nullptr).x, expected) <= 2e-5);
    CHECK(relative_error(solve(golden, damping, Space::weight, 5, nullptr).x, expected) <= 2e-4);
    const auto x0 = golden.weights<float>("x0");
    CHECK(relative_error(solve(golden, damping, Space::gram, 5, &x0).x, golden.weights<double>("warm_5" + index)) <=
          1e-4);
  });
}

TEST_CASE("golden: ten and twenty iterations in the norm of F + λI") {
  // Iterates of that age differ between any two programs at small damping, but conjugate gradients minimise this norm:
  // a program may lose a quarter of the progress to rounding, or stop at the float32 floor (2e-3 of ‖exact‖: the
  // square root of the condition number times 2⁻¹¹).
  for_each_damping([](const GoldenCase& golden, double damping, const std::string& index) {
    const FisherBlock block = golden.block();
    const auto exact = golden.weights<double>("exact" + index);
    for (const int iterations : {10, 20}) {
      CAPTURE(iterations);
      const auto reference = golden.weights<double>("cg_" + std::to_string(iterations) + index);
      const double bound = (1.25 * energy_norm(block, damping, difference(reference, exact))) +
                           (2e-3 * energy_norm(block, damping, exact));
      CHECK(energy_norm(block, damping,
                        difference(solve(golden, damping, Space::gram, iterations, nullptr).x, exact)) <= bound);
    }
  });
}

TEST_CASE("golden: the reported residual is the true one") {
  // Below the float32 floor, 2⁻¹¹ ≈ 5e-4 of ‖v‖, the recurrence says nothing; 3e-3 is six times that, for the float32
  // rounding of x, which F + λI multiplies.
  for_each_damping([](const GoldenCase& golden, double damping, const std::string&) {
    const FisherBlock block = golden.block();
    const auto v = golden.weights<float>("v");
    for (const Space space : {Space::gram, Space::weight}) {
      for (const int iterations : {1, 2, 5, 10, 20}) {
        const GoldenSolution solution = solve(golden, damping, space, iterations, nullptr);
        const double residual =
            norm(difference(v, dense_apply(block, damping, std::span<const float>(solution.x)))) / norm(v);
        CAPTURE(iterations);
        CAPTURE(static_cast<int>(space));
        CHECK(std::abs(solution.summary.cg.residual - residual) <= 3e-3 * std::max(1.0, residual));
      }
    }
  });
}
