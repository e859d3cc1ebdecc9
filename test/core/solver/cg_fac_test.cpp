#include "core/solver/cg_fac.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <limits>

#include "core/base/error.h"
#include "support/layers.h"

using namespace cgfac;
using namespace cgfac::test;

namespace {

constexpr double test_damping = 0.5;

struct Solution {
  std::vector<float> x;
  CgFacSummary summary;
};

// `place` picks where x goes: arrays of its own, those of v, or those of x0
enum class Place { apart, v, x0 };

Solution solve_from(const RandomLayer& layer, std::vector<float> x0, const CgFacOptions& options, Place place) {
  const FisherBlock block = layer.block();
  auto v = layer.v;
  std::vector<float> apart(layer.size(), std::numeric_limits<float>::quiet_NaN());
  std::vector<float>& out = place == Place::apart ? apart : place == Place::v ? v : x0;
  CgFacWorkspace workspace;
  const CgFacSummary summary = cg_fac(block, {.value = test_damping}, block.view(std::span<const float>(v)),
                                      block.view(std::span<const float>(x0)), block.view(std::span<float>(out)),
                                      options, workspace, nullptr, nullptr);
  return {.x = out, .summary = summary};
}

const RandomLayer test_layer{
    .shape = {.in_features = 30, .out_features = 20, .bias = true}, .input_rows = 8, .output_rows = 8};

}  // namespace

TEST_CASE("cg_fac: enough iterations solve the system, in both spaces, on awkward shapes") {
  for (const RandomLayer& layer : awkward_layers()) {
    CAPTURE(layer.name());
    for (const Space space : {Space::gram, Space::weight}) {
      CAPTURE(static_cast<int>(space));
      std::vector<float> x;
      const CgFacSummary summary =
          solve(layer, test_damping, {.cg = {.max_iterations = 200, .tolerance = 1e-4}, .space = space}, x);
      CHECK(summary.cg.reason == CgReason::converged);
      CHECK(summary.space == space);
      // the tolerance is the float32 floor, 2⁻¹¹, in effect; the true residual adds the rounding of x
      CHECK(relative_error(dense_apply(layer.block(), test_damping, std::span<const float>(x)), layer.v) <= 1e-3);
    }
  }
}

TEST_CASE("cg_fac: out may be v or x0") {
  const auto x0 = random_numbers<float>(test_layer.size(), 5);
  for (const Space space : {Space::gram, Space::weight}) {
    for (const StartScaling scaling : {StartScaling::plain, StartScaling::optimal}) {
      const CgFacOptions options{.cg = {.max_iterations = 4, .tolerance = 0}, .space = space, .start_scaling = scaling};
      const Solution apart = solve_from(test_layer, x0, options, Place::apart);
      for (const Place place : {Place::v, Place::x0}) {
        const Solution in_place = solve_from(test_layer, x0, options, place);
        CHECK(relative_error(in_place.x, apart.x) <= 1e-6);  // the last sums are taken in another order
        CHECK(in_place.summary.cg.residual == apart.summary.cg.residual);
      }
    }
  }
}

TEST_CASE("cg_fac: v, x0 and out may all be the same arrays") {
  const FisherBlock block = test_layer.block();
  const CgFacOptions options{.cg = {.max_iterations = 4, .tolerance = 0}, .space = Space::gram};
  const Solution apart = solve_from(test_layer, test_layer.v, options, Place::apart);
  auto x = test_layer.v;
  CgFacWorkspace workspace;
  (void)cg_fac(block, {.value = test_damping}, block.view(std::span<const float>(x)),
               block.view(std::span<const float>(x)), block.view(std::span<float>(x)), options, workspace, nullptr,
               nullptr);
  CHECK(relative_error(x, apart.x) <= 1e-6);
}

TEST_CASE("cg_fac: a start at the solution ends at once, and a scaled start never begins further away in energy") {
  std::vector<float> exact;
  (void)solve(test_layer, test_damping, {.cg = {.max_iterations = 300, .tolerance = 0}, .space = Space::gram}, exact);
  const CgFacOptions options{.cg = {.max_iterations = 20, .tolerance = 1e-2}, .space = Space::gram};
  const Solution at_solution = solve_from(test_layer, exact, options, Place::apart);
  CHECK(at_solution.summary.cg.iterations == 0);
  CHECK(at_solution.summary.cg.initial_residual <= 1e-3);
  CHECK(relative_error(at_solution.x, exact) <= 1e-6);

  auto doubled = exact;
  for (float& x : doubled) x *= 2;
  CgFacOptions scaled = options;
  scaled.start_scaling = StartScaling::optimal;
  const Solution from_scaled = solve_from(test_layer, doubled, scaled, Place::apart);
  CHECK(from_scaled.summary.cg.initial_residual <= 1e-3);  // c = 1/2 undoes the factor
  CHECK(solve_from(test_layer, doubled, options, Place::apart).summary.cg.initial_residual ==
        doctest::Approx(1).epsilon(1e-3));
}

TEST_CASE("cg_fac: v = 0 has the solution 0") {
  RandomLayer layer = test_layer;
  std::ranges::fill(layer.v, 0.0F);
  const Solution solution = solve_from(layer, random_numbers<float>(layer.size(), 5), {}, Place::apart);
  CHECK(solution.summary.cg.reason == CgReason::converged);
  CHECK(solution.summary.cg.residual == 0);
  CHECK(norm(solution.x) == 0);
}

TEST_CASE("cg_fac: a cancelled solve leaves out alone") {
  const FisherBlock block = test_layer.block();
  const CancelFlag cancel = true;
  for (const Space space : {Space::gram, Space::weight}) {
    std::vector<float> out(test_layer.size(), 7.0F);
    CgFacWorkspace workspace;
    const CgFacSummary summary =
        cg_fac(block, {.value = test_damping}, block.view(std::span<const float>(test_layer.v)), {},
               block.view(std::span<float>(out)), {.space = space}, workspace, &cancel, nullptr);
    CHECK(summary.cg.reason == CgReason::cancelled);
    CHECK(std::ranges::count(out, 7.0F) == static_cast<std::ptrdiff_t>(out.size()));
  }
}

TEST_CASE("cg_fac: NaN and overflow are errors, and leave out alone") {
  const auto attempt = [](const RandomLayer& layer, std::vector<float> x0, Space space, double damping) -> std::string {
    const FisherBlock block = layer.block();
    std::vector<float> out(layer.size(), 7.0F);
    CgFacWorkspace workspace;
    try {
      (void)cg_fac(block, {.value = damping}, block.view(std::span<const float>(layer.v)),
                   block.view(std::span<const float>(x0)), block.view(std::span<float>(out)), {.space = space},
                   workspace, nullptr, nullptr);
    } catch (const Error& error) {
      CHECK(error.code() == ErrorCode::not_finite);
      CHECK(std::ranges::count(out, 7.0F) == static_cast<std::ptrdiff_t>(out.size()));
      return error.what();
    }
    return "no error";
  };
  const std::vector<float> zero(test_layer.size());
  for (const Space space : {Space::gram, Space::weight}) {
    RandomLayer spoiled = test_layer;
    spoiled.v[3] = std::numeric_limits<float>::quiet_NaN();
    CHECK(attempt(spoiled, zero, space, 1) == "Expected finite numbers for v.kernel but received NaN at index 3");
    auto x0 = zero;
    x0[5] = std::numeric_limits<float>::infinity();
    CHECK(attempt(test_layer, x0, space, 1) ==
          "Expected finite numbers for x0.kernel but received Infinity at index 5");
    RandomLayer huge = test_layer;  // F = 0, so x = v/λ
    std::ranges::fill(huge.output_grads, 0.0F);
    for (float& x : huge.v) x *= 1e10F;
    CHECK(attempt(huge, zero, space, 1e-36).find("float32") != std::string::npos);
  }
}

TEST_CASE("cg_fac: relative damping of rows that are all zero is refused") {
  RandomLayer layer = test_layer;
  std::ranges::fill(layer.output_grads, 0.0F);
  const FisherBlock block = layer.block();
  std::vector<float> out(layer.size());
  CgFacWorkspace workspace;
  CHECK_THROWS_WITH_AS(
      (void)cg_fac(block, {.value = 1, .relative = true}, block.view(std::span<const float>(layer.v)), {},
                   block.view(std::span<float>(out)), {}, workspace, nullptr, nullptr),
      "Expected inputs and outputGrads that are not all zero for relative damping but received a mean eigenvalue of 0",
      Error);
}

TEST_CASE("cg_fac: relative damping beyond float32 is refused, at either end, in a solve and in a product") {
  for (const auto& [factor, text] : {std::pair{1e-12F, "e-"}, std::pair{1e12F, "e+"}}) {
    RandomLayer layer = test_layer;
    for (float& a : layer.inputs) a *= factor;
    for (float& g : layer.output_grads) g *= factor;
    layer.shape.bias = false;
    const FisherBlock block = layer.block();
    layer.v.resize(layer.size());
    std::vector<float> out(layer.size(), 7.0F);
    const auto v = block.view(std::span<const float>(layer.v));
    const auto target = block.view(std::span<float>(out));
    CgFacWorkspace workspace;
    const auto message = [&](auto&& call) -> std::string {
      try {
        call();
      } catch (const Error& error) {
        CHECK(error.code() == ErrorCode::invalid_value);
        return error.what();
      }
      return "no error";
    };
    const std::string solve_message = message(
        [&] { (void)cg_fac(block, {.value = 1, .relative = true}, v, {}, target, {}, workspace, nullptr, nullptr); });
    const std::string apply_message =
        message([&] { apply_fisher(block, {.value = 1, .relative = true}, v, target, workspace.fisher); });
    CHECK(
        solve_message.starts_with("Expected rows that make it a number in the range of float32 for relative damping"));
    CHECK(solve_message.find(text) != std::string::npos);
    CHECK(apply_message == solve_message);
    CHECK(std::ranges::count(out, 7.0F) == static_cast<std::ptrdiff_t>(out.size()));
  }
}

TEST_CASE("cg_fac: 'auto' takes Gram space where the batch is small, weight space where it exceeds both sides") {
  const auto choice = [](std::size_t m, std::size_t n, std::size_t rows) {
    const RandomLayer layer{.shape = {.in_features = n, .out_features = m}, .input_rows = rows, .output_rows = rows};
    return choose_space(layer.block(), 20);
  };
  CHECK(choice(500, 400, 16) == Space::gram);
  CHECK(choice(128, 576, 3136) == Space::weight);
}
