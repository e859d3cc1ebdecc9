#pragma once

#include "core/block/damping.h"
#include "core/factor/factor.h"

namespace cgfac {

/// The dampings of (A + γ_A I) ⊗ (G + γ_G I).
struct FactoredDamping {
  double input = 0;       ///< γ_A
  double output = 0;      ///< γ_G
  bool relative = false;  ///< whether they are multiples of eigenvalues: of each block's own, of a factor of blocks
};

/// γ_A and γ_G of two factors, unchecked, with what their panels cut off. From an absolute λ, γ_A = π√λ and γ_G = √λ/π
/// with π² = (tr A/n)/(tr G/m); from a relative one, ρ, γ_A and γ_G are ρ times the mean of the eigenvalues that each
/// factor's form holds. To each γ comes the mean of the eigenvalues that its panel has lost. An A that is exact has
/// none: γ_A = 0, and γ_G is λ itself or ρ times the mean of G's eigenvalues. Of a block without another side
/// (`FactorMoments::squared`) γ_A is λ itself or ρ² times the mean of A's eigenvalues, and γ_G = 0.
///
/// Source: J. Martens and R. Grosse, "Optimizing Neural Networks with Kronecker-factored Approximate Curvature", 2015,
/// §6.3 (the trace form of π); the relative form and the cut-off are this package's own (docs/math.md).
[[nodiscard]] FactoredDamping factored_damping(const FactorMoments& input, const FactorMoments& output,
                                               const Damping& damping);

/// λ of F + λI of two factors, unchecked, with what their panels cut off: λ itself, or ρ times the mean of the
/// eigenvalues that F's form holds, tr A·tr G over their number; and the mean (tr F − tr PᵀP)/(m·n) of those that the
/// panels have lost.
[[nodiscard]] double tikhonov_damping(const FactorMoments& input, const FactorMoments& output, const Damping& damping);

/// Whether there is anything to damp, and γ's that can be had.
[[nodiscard]] bool usable(const FactorMoments& input, const FactorMoments& output, const FactoredDamping& gamma);
/// Throws Error(invalid_value) where there is not.
void require_usable(const FactorMoments& input, const FactorMoments& output, const FactoredDamping& gamma);

}  // namespace cgfac
