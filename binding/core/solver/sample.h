#pragma once

#include "core/block/solution.h"
#include "core/operator/gram_problem.h"

namespace cgfac {

/// x = (E + λI)⁻¹ v for the per-sample block E = scale_g Σ_i vec(g_i [a_i 1]ᵀ) vec(g_i [a_i 1]ᵀ)ᵀ, the layer's Fisher
/// block without the Kronecker approximation. Both sides must have the rows of one batch, N of them:
///
///   x = (v − Jᵀ y)/λ,  (H + λ/scale_g · I) y = J v,  H = ([a 1][a 1]ᵀ) ∘ (g gᵀ),  J v = (g_iᵀ v [a_i 1])_i,  Jᵀ y = Σ
///   y_i g_i [a_i 1]ᵀ
///
/// One N × N Cholesky in float64 and two passes over v, or none for the batch's own gradient; under the empirical
/// Fisher, where v ∝ Jᵀ1, x ∝ Jᵀ(H + λ/scale_g · I)⁻¹1, free of cancellation. Relative damping is relative to tr
/// E/(n·m).
///
/// Throws Error(shape_mismatch) for different numbers of rows and for a side that is an average, Error(invalid_value)
/// for a damping of 0 or below the rounding of H, Error(not_finite), with the destination untouched, beyond float32.
///
/// Source: Woodbury's identity on the empirical block of S. Amari, "Natural gradient works efficiently in learning",
/// 1998; docs/math.md §8.
SolutionProducts solve_sample(const FisherBlock& block, const BlockTraces& traces, const Damping& damping,
                              const Gradient& gradient, const Destination& destination, GramWorkspace& workspace);

}  // namespace cgfac
