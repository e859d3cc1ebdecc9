#pragma once

#include <cstddef>
#include <span>

#include "core/base/matrix_view.h"
#include "core/block/damping.h"
#include "core/block/fisher_block.h"
#include "core/block/gradient.h"
#include "core/block/solution.h"

/// The two passes over a vector of weight space that every product and every solution is made of, split over the pool
/// threads.
namespace cgfac {

/// Scratch that `project` and `expand` use, in numbers: what both products between would fill, but not more than
/// `limit`, above which they work in chunks of columns or rows, and never less than `smallest_chunk` of those.
[[nodiscard]] std::size_t pass_scratch(const FisherBlock& block, const BlockForms& forms, std::size_t limit);

/// U ← P_gᵀ v P_a, (N_g or m) × (N_a or n): a panel side is multiplied by its rows, a covariance side has P = I.
///
/// Both panels: (g v) aᵀ or g (v aᵀ), whichever is cheaper; about 2·N·m·n flops. The homogeneous coordinate l adds the
/// outer product of g·bias with it. Returns ‖v‖², taken while a piece of v is at hand.
double project(const FisherBlock& block, const BlockForms& forms, const WeightView<const float>& v, MatrixView<float> u,
               std::span<float> scratch);

/// out ← keep · out + factor · (s·v + P_g C P_aᵀ), the adjoint of `project` with a multiple of a gradient. Both panels:
/// (gᵀ C) a or gᵀ (C a), whichever is cheaper; with the batch's own gradient (s·scale·g_vᵀ + P_g C) a, without a pass
/// over v, for which both sides must be panels and its input rows the block's. `out` may be v.
///
/// `norm_c` ≥ ‖C‖_F bounds what can come out; Error(not_finite) is thrown before `out` is touched where that leaves
/// the range of float32. The multiple of v is the caller's to check.
void expand(const FisherBlock& block, const BlockForms& forms, const BlockTraces& traces, double s,
            const Gradient& gradient, MatrixView<const float> c, double norm_c, const Destination& destination,
            std::span<float> scratch);

}  // namespace cgfac
