#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "core/buffer.h"
#include "core/conjugate_gradient.h"
#include "core/fisher_block.h"
#include "core/fisher_operator.h"
#include "core/gram_operator.h"

namespace cgfac {

/// Where the iterations run; `automatic` takes the cheaper by `choose_space`.
enum class Space { automatic, weight, gram };

struct CgFacOptions {
  CgOptions cg{};
  Space space = Space::automatic;
  StartScaling start_scaling = StartScaling::plain;
};

struct CgFacSummary {
  CgSummary cg{};
  Space space = Space::gram;  ///< where the iterations ran: weight or gram
};

struct CgFacWorkspace {
  FisherOperator::Workspace fisher;
  GramOperator::Workspace gram;
  Buffer<double> gram_vectors;   // C and W of x, r, p, q
  Buffer<float> weight_vectors;  // x, r, p, q

  [[nodiscard]] std::size_t bytes() const;
};

/// Solves (F + λI) x = v by conjugate gradients: the layer's natural-gradient direction.
///
/// v, the start x₀ (none: zero) and `out` have the block's shape and layout; `out` may be v or x₀ itself, and is written
/// once, at the end. Gram space costs U and the final vector, two passes over the weights, plus two products of the projected
/// size per iteration; weight space one FV per iteration. A start costs one more pass in Gram space, one more FV in
/// weight space.
///
/// Throws Error(not_finite) naming the array and index for NaN or infinity in the rows, v or x₀, and for a solution beyond
/// float32; Error(invalid_value) for relative damping of a block of zeros. `out` is then untouched, as it is after
/// a cancelled solve. A second call with the same shape allocates nothing (`residuals` apart).
///
/// Source: Y. Chen, "An iterative K-FAC algorithm for Deep Learning", arXiv 2101.00218, 2021, Algorithm 2; Gram space is
/// this package's own (docs/math.md).
CgFacSummary cg_fac(const FisherBlock& block, const Damping& damping, const WeightView<const float>& v,
                    const std::optional<WeightView<const float>>& x0, const WeightView<float>& out,
                    const CgFacOptions& options, CgFacWorkspace& workspace, const CancelFlag* cancel,
                    std::vector<double>* residuals);

/// (F + λI) v in one application, with the same checks.
void apply_fisher(const FisherBlock& block, const Damping& damping, const WeightView<const float>& v,
                  const WeightView<float>& out, FisherOperator::Workspace& workspace);

/// The space whose flops, float64 ones counted twice and vector updates by the memory they move, are fewer.
[[nodiscard]] Space choose_space(const FisherBlock& block, int iterations);

}  // namespace cgfac
