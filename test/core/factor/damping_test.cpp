#include "core/factor/damping.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "core/base/error.h"

using namespace cgfac;

namespace {

// A: 4 × 4, eigenvalues 8, 4, 2, 2, of which a panel holds the first two; G: 2 × 2, eigenvalues 3, 1, whole.
constexpr FactorMoments cut_input{.trace = 16, .kept_trace = 12, .dimension = 4, .held = 2};
constexpr FactorMoments whole_input{.trace = 16, .kept_trace = 16, .dimension = 4, .held = 4};
constexpr FactorMoments output{.trace = 4, .kept_trace = 4, .dimension = 2, .held = 2};
constexpr FactorMoments none{.trace = 0, .kept_trace = 0, .dimension = 2, .held = 2};

}  // namespace

TEST_CASE("damping: an absolute λ becomes γ's in the ratio of the mean eigenvalues") {
  // π² = 4/2, √λ = 3
  const FactoredDamping gamma = factored_damping(whole_input, output, {.value = 9});
  CHECK(gamma.input == doctest::Approx(3 * std::sqrt(2.0)));
  CHECK(gamma.output == doctest::Approx(3 / std::sqrt(2.0)));
  CHECK(tikhonov_damping(whole_input, output, {.value = 9}) == 9);
}

TEST_CASE("damping: a relative one is relative to the mean of the eigenvalues that are held") {
  const FactoredDamping gamma = factored_damping(whole_input, output, {.value = 0.5, .relative = true});
  CHECK(gamma.input == 2);
  CHECK(gamma.output == 1);
  CHECK(tikhonov_damping(whole_input, output, {.value = 0.5, .relative = true}) == 4);
}

TEST_CASE("damping: λ and γ carry the mean of what a panel has lost") {
  // (16 − 12)/4 = 1 is lost of A, (16·4 − 12·4)/(4·2) = 2 of F, nothing of G
  const FactoredDamping relative = factored_damping(cut_input, output, {.value = 0.5, .relative = true});
  CHECK(relative.input == 0.5 * 8 + 1);
  CHECK(relative.output == 0.5 * 2);
  const FactoredDamping absolute = factored_damping(cut_input, output, {.value = 9});
  CHECK(absolute.input == doctest::Approx((3 * std::sqrt(2.0)) + 1));  // π of the whole traces
  CHECK(absolute.output == doctest::Approx(3 / std::sqrt(2.0)));
  CHECK(tikhonov_damping(cut_input, output, {.value = 9}) == 9 + 2);
  CHECK(tikhonov_damping(cut_input, output, {.value = 0.5, .relative = true}) == (0.5 * 8 * 2) + 2);
  CHECK(tikhonov_damping(output, cut_input, {.value = 9}) == 9 + 2);
}

TEST_CASE("damping: nothing is damped where a factor is zero, or a damping beyond float32") {
  const FactoredDamping one{.input = 1, .output = 1};
  CHECK(usable(whole_input, output, one));
  CHECK_NOTHROW(require_usable(whole_input, output, one));
  CHECK_FALSE(usable(none, output, one));
  CHECK_FALSE(usable(whole_input, none, one));
  CHECK_THROWS_WITH_AS(require_usable(whole_input, none, one),
                       "Expected inputs and outputGrads that are not all zero for factored damping but received a mean "
                       "eigenvalue of 0",
                       Error);
  for (const double number : {1e-39, 1e39, 0.0, std::numeric_limits<double>::quiet_NaN()}) {
    CHECK_FALSE(usable(number));
    CHECK_THROWS_AS(require_damping(number), Error);
    for (const FactoredDamping& gamma :
         {FactoredDamping{.input = number, .output = 1}, FactoredDamping{.input = 1, .output = number}}) {
      CHECK_FALSE(usable(whole_input, output, gamma));
      CHECK_THROWS_AS(require_usable(whole_input, output, gamma), Error);
    }
  }
  CHECK(usable(1e-37));
  CHECK_NOTHROW(require_damping(1e37));
  // what factors of zeros make of a relative damping, and of an absolute one
  CHECK_FALSE(usable(tikhonov_damping(whole_input, none, {.value = 1, .relative = true})));
  CHECK_FALSE(usable(none, none, factored_damping(none, none, {.value = 1})));
}
