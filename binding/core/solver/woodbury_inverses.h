#pragma once

#include <cstddef>
#include <span>

#include "core/block/gradient.h"
#include "core/block/solution.h"
#include "core/factor/inverse_view.h"
#include "core/solver/woodbury.h"

namespace cgfac {

/// Both inverses of a factored solve, and room for the rest, in one arena.
struct WoodburyInverses {
  InverseView input{};
  InverseView output{};
  std::span<double> scratch{};
};

/// Makes both inverses; `numbers`: of scratch besides.
[[nodiscard]] WoodburyInverses woodbury_inverses(const FisherBlock& block, const FactoredDamping& damping,
                                                 std::size_t numbers, GramWorkspace& workspace);

/// Throws Error(not_finite) where a vector of that norm may leave the range of float32 on its way through both inverses
/// to the destination: the largest eigenvalue of each is below its 1/γ.
void require_range(double norm_v, const FactoredDamping& damping, const Destination& destination);

/// The batch's own gradient, panels on both sides.
SolutionProducts solve_own(const FisherBlock& block, const BlockTraces& traces, const FactoredDamping& damping,
                           const Gradient& gradient, const Destination& destination, GramWorkspace& workspace);

}  // namespace cgfac
