#pragma once

#include "core/block/damping.h"
#include "core/block/fisher_block.h"
#include "core/block/solution.h"
#include "core/operator/fisher_operator.h"
#include "core/operator/true_product.h"

namespace cgfac {

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
