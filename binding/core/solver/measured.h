#pragma once

#include "core/block/damping.h"
#include "core/block/fisher_block.h"
#include "core/block/solution.h"
#include "core/operator/fisher_operator.h"
#include "core/operator/true_product.h"
#include "core/solver/conjugate_gradient.h"

namespace cgfac {

/// Layers of so many weights keep the memory of a measurement, and one costs next to nothing.
inline constexpr std::size_t few_weights = 4096;

/// Whether residual and solution of conjugate gradients no longer belong together.
[[nodiscard]] bool broken(CgReason reason);

/// Whether xᵀF x by coefficients is that of x to 1 %, by what the rounding of F may make of it. Of 6,400 random systems
/// for which this holds, none was more than 0.8 % off (docs/decisions/solver.md). `extent`: the sum of the norms of the
/// parts of x.
[[nodiscard]] bool known(const SolutionProducts& products, const CgSummary& cg, double extent);

/// Whether the recurrence may say something else than x does: of the residual, or of ⟨v, x⟩ and xᵀF x, to 1 %, unless
/// these are `known` by themselves. `norm_noise`: what rounding may make of the norm of the residual itself. A layer of
/// few weights is measured, too, where more is left than there was after the first iterations, by which Lanczos may not
/// know the largest eigenvalue.
[[nodiscard]] bool doubtful(const CgSummary& cg, double extent, double norm_noise, double v_norm2, bool known,
                            std::size_t weights);

/// What is true of a solution, by one more product: its residual, relative to ‖v‖, and its inner products.
struct Measured {
  double residual = 0;
  SolutionProducts products;
};

/// (F + λI) x = v without v.
struct MeasuredSystem {
  const FisherBlock& block;
  const BlockTraces& traces;
  double damping;
};

/// In float64, of systems for which that is affordable.
[[nodiscard]] Measured measured_in_float64(const MeasuredSystem& system, const WeightView<const float>& v,
                                           const WeightView<const float>& x, TrueProduct::Memory& memory);

/// In float32, which leaves (F + λI) x in `image`: a residual of no less than what the product may have rounded away,
/// and xᵀF x where that is more than what is left of a difference. `largest`: about the largest eigenvalue.
[[nodiscard]] Measured measured_in_float32(const MeasuredSystem& system, double largest,
                                           const WeightView<const float>& v, const WeightView<const float>& x,
                                           const WeightView<float>& image, FisherOperator::Workspace& workspace);

}  // namespace cgfac
