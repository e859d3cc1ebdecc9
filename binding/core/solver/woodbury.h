#pragma once

#include "core/block/gradient.h"
#include "core/block/solution.h"
#include "core/factor/damping.h"
#include "core/operator/gram_problem.h"

namespace cgfac {

/// x = (G + γ_G I)⁻¹ v (A + γ_A I)⁻¹, by Woodbury on each side: (A + γI)⁻¹ = (I − P(γI + K)⁻¹Pᵀ)/γ, with the inverse of
/// the d × d sum itself where a side has more rows than features. No eigendecomposition: two Choleskys of the smaller
/// size. Both sides have rows; factors that outlive a batch are `Layer`'s.
///
/// A given v costs four products of the gradient's size, and for `products.vx` a pass over v; where x replaces v, vx
/// stays unknown. The batch's own gradient scale · g_vᵀ [a 1] is never formed (panels on both sides): x = Z_gᵀ Z_a with
/// Z_gᵀ = (g_vᵀ − P_g (γ_G I + K_g)⁻¹ P_gᵀ g_vᵀ)·scale/γ_G and Z_a = (K_a + γ_A I)⁻¹ [a 1], one product; under the
/// empirical Fisher x = P_g C P_aᵀ with C N × N. Both are streamed: the workspace keeps to 8·N² numbers.
///
/// Throws Error(not_finite), with the destination untouched, where v or a product is beyond float32.
///
/// Source: M. Woodbury, "Inverting modified matrices", 1950; the same-batch form: docs/math.md §7.
SolutionProducts solve_factored(const FisherBlock& block, const BlockTraces& traces, const FactoredDamping& damping,
                                const Gradient& gradient, const Destination& destination, GramWorkspace& workspace);

}  // namespace cgfac
