#pragma once

#include "core/block/solution.h"
#include "core/operator/gram_problem.h"

namespace cgfac {

/// The dampings of (A + γ_A I) ⊗ (G + γ_G I).
struct FactoredDamping {
  double input = 0;   ///< γ_A
  double output = 0;  ///< γ_G
};

/// γ_A and γ_G, unchecked. From an absolute λ, γ_A = π√λ and γ_G = √λ/π with π² = (tr A/n)/(tr G/m); from a relative
/// one, ρ, γ_A = ρ·tr A/n and γ_G = ρ·tr G/m, relative to the mean eigenvalue of each factor.
///
/// Source: J. Martens and R. Grosse, "Optimizing Neural Networks with Kronecker-factored Approximate Curvature", 2015,
/// §6.3 (the trace form of π); the relative form is this package's own (docs/math.md §7).
[[nodiscard]] FactoredDamping factored_gammas(const FisherBlock& block, const BlockTraces& traces,
                                              const Damping& damping);
/// The same, checked: throws Error(invalid_value) for a factor that is zero or makes them numbers outside float32.
[[nodiscard]] FactoredDamping factored_damping(const FisherBlock& block, const BlockTraces& traces,
                                               const Damping& damping);

/// x = (G + γ_G I)⁻¹ v (A + γ_A I)⁻¹, by Woodbury on each side: (A + γI)⁻¹ = (I − P(γI + K)⁻¹Pᵀ)/γ, with the inverse of
/// the d × d sum itself where a side has more rows than features. No eigendecomposition: two Choleskys of the smaller
/// size.
///
/// A given v costs four products of the gradient's size, and for `products.vx` a pass over v; where x replaces v, vx
/// stays unknown. The batch's own gradient scale · g_vᵀ [a 1] is never formed (panels on both sides): x = Z_gᵀ Z_a with
/// Z_gᵀ = (g_vᵀ − P_g (γ_G I + K_g)⁻¹ P_gᵀ g_vᵀ)·scale/γ_G and Z_a = (K_a + γ_A I)⁻¹ [a 1], one product; under the
/// empirical Fisher x = P_g C P_aᵀ with C N × N.
///
/// Throws Error(not_finite), with the destination untouched, where v or a product is beyond float32.
///
/// Source: M. Woodbury, "Inverting modified matrices", 1950; the same-batch form: docs/math.md §7.
SolutionProducts solve_factored(const FisherBlock& block, const BlockTraces& traces, const FactoredDamping& damping,
                                const Gradient& gradient, const Destination& destination, GramWorkspace& workspace);

}  // namespace cgfac
