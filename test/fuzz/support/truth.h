#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <vector>

#include "core/factor/damping.h"
#include "support/solutions.h"
#include "support/steps.h"
#include "support/verdict.h"

/// What directions should be, in float64, and how far from it they may be: the bounds of docs/math.md, §6.
namespace cgfac::fuzz {

/// Beyond it the bounds say nothing: a direction is finite, and may be noise.
inline constexpr double largest_condition = 0x1p22;
/// Where all of a batch's own rows nearly cancel, what is left has at most so many times the error.
inline const double most_cancellation = std::sqrt(8.0);
/// The least positive number of float32, and half of it what rounding to a subnormal number may change.
inline constexpr double least_float = 0x1p-149;
inline constexpr auto largest_float = static_cast<double>(std::numeric_limits<float>::max());

/// A direction, and the condition of what it was solved for.
struct Truth {
  test::DenseMatrix x;
  double condition = 1;
};

/// Both factors of a layer, decomposed: solutions for any damping.
struct Spectral {
  test::Spectra a;
  test::Spectra g;

  explicit Spectral(const test::DenseFactors& factors) : a(test::jacobi(factors.a)), g(test::jacobi(factors.g)) {}

  /// x = Q_g [(Q_gᵀ v Q_a)/(λ + E)] Q_aᵀ
  [[nodiscard]] Truth tikhonov(const test::DenseMatrix& v, double lambda) const {
    return solved(v, (lambda + (a.largest() * g.largest())) / lambda,
                  [&](double input, double output) { return lambda + (input * output); });
  }
  /// x = (G + γ_G I)⁻¹ v (A + γ_A I)⁻¹, likewise; a factor without damping is 1
  [[nodiscard]] Truth factored(const test::DenseMatrix& v, const FactoredDamping& gamma) const {
    const auto condition = [](double largest, double of) { return of == 0 ? 1 : 1 + (largest / of); };
    return solved(v, condition(a.largest(), gamma.input) * condition(g.largest(), gamma.output),
                  [&](double input, double output) { return (input + gamma.input) * (output + gamma.output); });
  }

 private:
  template <typename Divisor>
  [[nodiscard]] Truth solved(const test::DenseMatrix& v, double condition, const Divisor& divisor) const {
    test::DenseMatrix coordinates = g.vectors.transposed() * v * a.vectors;
    for (std::size_t i = 0; i < coordinates.rows; ++i) {
      for (std::size_t j = 0; j < coordinates.cols; ++j)
        coordinates(i, j) /= divisor(std::max(a.values[j], 0.0), std::max(g.values[i], 0.0));
    }
    return {.x = g.vectors * coordinates * a.vectors.transposed(), .condition = condition};
  }
};

/// Of the per-sample block, x = (v − Jᵀ (J Jᵀ + BλI)⁻¹ J v)/λ with the rows g_i ⊗ a_i of J; a relative damping is one
/// of tr JᵀJ/(B·n·m).
inline Truth sample_truth(const test::DenseMatrix& a, const test::DenseMatrix& g, double grad_factor,
                          const Damping& damping, const test::DenseMatrix& v) {
  const std::size_t batch = a.rows;
  test::DenseMatrix gram{.rows = batch, .cols = batch};
  test::DenseMatrix jv{.rows = batch, .cols = 1};
  const test::DenseMatrix inputs = a * a.transposed();
  const test::DenseMatrix outputs = g * g.transposed();
  const test::DenseMatrix projected = g * v * a.transposed();
  for (std::size_t i = 0; i < batch; ++i) {
    jv(i, 0) = grad_factor * projected(i, i);
    for (std::size_t j = 0; j < batch; ++j) gram(i, j) = grad_factor * grad_factor * inputs(i, j) * outputs(i, j);
  }
  const auto count = static_cast<double>(batch);
  const double lambda = damping.relative
                            ? damping.value * trace_of(gram) / (count * static_cast<double>(v.numbers.size()))
                            : damping.value;
  const test::Spectra spectra = test::jacobi(gram);
  test::DenseMatrix y = spectra.vectors.transposed() * jv;
  for (std::size_t i = 0; i < batch; ++i) y(i, 0) /= std::max(spectra.values[i], 0.0) + (count * lambda);
  y = spectra.vectors * y;
  test::DenseMatrix weighted = g;
  for (std::size_t i = 0; i < batch; ++i) {
    for (std::size_t j = 0; j < g.cols; ++j) weighted(i, j) *= grad_factor * y(i, 0);
  }
  test::DenseMatrix x = weighted.transposed() * a;
  for (std::size_t i = 0; i < x.numbers.size(); ++i) x.numbers[i] = (v.numbers[i] - x.numbers[i]) / lambda;
  return {.x = x, .condition = 1 + (spectra.largest() / (count * lambda))};
}

/// π√λ and √λ/π with π² = (tr A/n)/(tr G/m), or ρ times each mean.
inline FactoredDamping gammas(const test::DenseFactors& factors, const Damping& damping) {
  const double a = test::mean_eigenvalue(factors.a);
  const double g = test::mean_eigenvalue(factors.g);
  if (damping.relative) return {.input = damping.value * a, .output = damping.value * g, .relative = true};
  return {.input = std::sqrt(a / g) * std::sqrt(damping.value), .output = std::sqrt(damping.value) / std::sqrt(a / g)};
}

/// λ of F + λI, of both factors.
inline double absolute(const test::DenseFactors& factors, const Damping& damping) {
  return damping.relative ? damping.value * test::mean_eigenvalue(factors.a) * test::mean_eigenvalue(factors.g)
                          : damping.value;
}

/// Requires ‖found − truth‖ ≤ bound·‖truth‖, and what subnormal numbers round besides.
inline void require_near(std::span<const double> found, std::span<const double> truth, double bound,
                         std::string_view what) {
  double error = 0;
  double size = 0;
  for (std::size_t i = 0; i < truth.size(); ++i) {
    error += (found[i] - truth[i]) * (found[i] - truth[i]);
    size += truth[i] * truth[i];
  }
  const double rounding = least_float * std::sqrt(static_cast<double>(truth.size()));
  require_within(std::sqrt(error), (bound * std::sqrt(size)) + rounding, what);
}

/// Requires of inner products that are known that they are finite, and that squares are none below 0.
inline void require_sound(const SolutionProducts& products) {
  for (const double number : {products.vx, products.xfx, products.xx})
    require(!std::isinf(number), "inner products are finite");
  require(!(products.xfx < 0), "xᵀF x is not below 0");
  require(!(products.xx < 0), "‖x‖² is not below 0");
}

/// Requires of a ‖x‖² that is known that it is that of x to 5 %.
inline void require_norm(const SolutionProducts& products, const std::vector<double>& x) {
  if (std::isnan(products.xx)) return;
  const double squares = test::dot(x, x);
  require_within(std::abs(products.xx - squares), (0.05 * squares) + 1e-40, "the error of ‖x‖²");
}

}  // namespace cgfac::fuzz
