#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "core/base/buffer.h"
#include "core/base/names.h"
#include "core/block/damping.h"
#include "core/block/gradient.h"
#include "core/block/solution.h"
#include "core/operator/fisher_operator.h"
#include "core/operator/gram_operator.h"
#include "core/operator/true_product.h"
#include "core/solver/conjugate_gradient.h"
#include "core/solver/scaled_system.h"

namespace cgfac {

/// Where the iterations run; `automatic` takes the cheaper by `choose_space`.
enum class Space { automatic, weight, gram };

/// The names of the spaces as options.
template <>
inline constexpr std::array<std::string_view, 3> names_of<Space>{"auto", "weight", "gram"};

/// How a system is solved by conjugate gradients.
struct CgFacOptions {
  CgOptions cg{};
  Space space = Space::automatic;
  GramBasis basis = GramBasis::automatic;
  StartScaling start_scaling = StartScaling::plain;
};

/// Calls `visit(name, member)` for each of the options that have a name.
template <typename Visit>
void each_option(CgFacOptions& options, const Visit& visit) {
  visit("maxIterations", options.cg.max_iterations);
  visit("tolerance", options.cg.tolerance);
  visit("space", options.space);
}

/// What a solve did, and what it knows of its solution.
struct CgFacSummary {
  CgSummary cg{};
  Space space = Space::gram;           ///< where the iterations ran: weight or gram
  GramBasis basis = GramBasis::plain;  ///< in Gram space, in which bases
  SolutionProducts products{};
};

/// Memory of the solves, kept from one to the next.
struct CgFacWorkspace {
  FisherOperator::Workspace fisher;
  GramWorkspace gram;
  Buffer<float> weight_vectors;  // x, r, p
  ScaledSystem::Memory scaled;   // of systems too far from 1
  TrueProduct::Memory truth;     // of small systems whose residual has to be measured

  /// What it holds, in bytes.
  [[nodiscard]] std::size_t bytes() const;
};

/// Solves (F + λI) x = v by conjugate gradients: the layer's natural-gradient direction.
///
/// v, the start x₀ (none: zero) and the destination have the block's shape and layout; the destination may be v or x₀
/// itself, and is written once, at the end. Gram space costs U and the final vector, two passes over the weights, plus
/// O(N³) once and O(N²) per iteration, or two products of the projected size per iteration, whichever is cheaper;
/// weight space one FV per iteration. A start costs one more pass in Gram space, one more FV in weight space. The
/// batch's own gradient costs neither pass over v, and is formed only for weight space, for a start, and for sides that
/// are not both panels, the input side's of the batch's own rows.
///
/// Throws Error(not_finite) naming the array and index for NaN or infinity in the rows, v or x₀, and for a solution
/// beyond float32. The destination is then untouched, as it is after a cancelled solve. A second call with the same
/// shape allocates nothing (`residuals` apart, and a residual that has to be measured of more than 4,096 weights).
///
/// Source: Y. Chen, "An iterative K-FAC algorithm for Deep Learning", arXiv 2101.00218, 2021, Algorithm 2; Gram space
/// is this package's own (docs/math.md).
CgFacSummary cg_fac(const FisherBlock& block, const BlockTraces& traces, double damping, const Gradient& gradient,
                    const std::optional<WeightView<const float>>& x0, const Destination& destination,
                    const CgFacOptions& options, CgFacWorkspace& workspace, const CancelFlag* cancel,
                    std::vector<double>* residuals);

/// Solves as above for a given v and a damping that may be relative; for v = 0 and rows of zeros the solution is 0.
CgFacSummary cg_fac(const FisherBlock& block, const Damping& damping, const WeightView<const float>& v,
                    const std::optional<WeightView<const float>>& x0, const WeightView<float>& out,
                    const CgFacOptions& options, CgFacWorkspace& workspace, const CancelFlag* cancel,
                    std::vector<double>* residuals);

/// Adds to a residual what a solution lacks of digits among the smallest numbers of float32. `scaled_norm`: ‖x'‖ of the
/// scaled system whose summary this is; `destination`: where x was written.
void count_lost_digits(CgFacSummary& summary, const CgOptions& options, double scaled_norm,
                       const Destination& destination);

/// out ← (F + λI) v in one application, with the checks of a solve.
void apply_fisher(const FisherBlock& block, const Damping& damping, const WeightView<const float>& v,
                  const WeightView<float>& out, FisherOperator::Workspace& workspace);

/// The space of the smaller estimate (cost.h).
[[nodiscard]] Space choose_space(const FisherBlock& block, int iterations);
/// The basis of Gram space with the smaller estimate for so many iterations.
[[nodiscard]] GramBasis choose_basis(const FisherBlock& block, int iterations);

}  // namespace cgfac
