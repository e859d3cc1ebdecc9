#pragma once

#include "core/base/matrix_view.h"
#include "core/block/fisher_block.h"

namespace cgfac {

/// λ itself, or a multiple of the mean eigenvalue of F, tr(A)·tr(G)/(n·m).
struct Damping {
  double value = 0;
  bool relative = false;
};

/// The sums that every call computes once: they show NaN and infinity, and make relative damping absolute.
struct BlockTraces {
  double input = 0;   ///< tr A
  double output = 0;  ///< tr G
};
/// 2·N·(m + n) flops, or d² for a given factor. Throws Error(not_finite) that names the array and the index where rows
/// or factors hold NaN or infinity.
[[nodiscard]] BlockTraces traces(const FisherBlock& block);

/// λ as an absolute number. Relative damping of a block of zeros gives 0.
[[nodiscard]] double absolute_damping(const FisherBlock& block, const BlockTraces& traces, const Damping& damping);
/// Whether a damping is a number that can be had: in the range of float32, in which the solution is written.
[[nodiscard]] bool usable(double damping);
/// Throws Error(invalid_value) for a λ that cannot: relative damping of a block of zeros, or of rows far from 1.
void require_damping(double lambda);
/// λ of a solve. Throws Error(invalid_value) for relative damping of a block of zeros, or beyond float32.
[[nodiscard]] double checked_damping(const FisherBlock& block, const BlockTraces& traces, const Damping& damping);

/// Whether nothing is asked: relative damping of a block of zeros has no value, yet the solution for v = 0 is 0.
[[nodiscard]] bool nothing_to_solve(const BlockTraces& traces, const Damping& damping,
                                    const WeightView<const float>& v);

}  // namespace cgfac
