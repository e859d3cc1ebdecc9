#include "core/block/damping.h"

#include <cmath>
#include <limits>

#include "core/base/error.h"
#include "core/block/finite.h"
#include "core/block/weight_vector.h"

namespace cgfac {

BlockTraces traces(const FisherBlock& block) {
  const BlockTraces result{.input = trace(block.input), .output = trace(block.output)};
  // the trace of rows has seen all of them, that of a given factor its diagonal alone
  const double given = squares_in_pieces(block.input.covariance) + squares_in_pieces(block.output.covariance);
  constexpr auto largest = static_cast<double>(std::numeric_limits<float>::max());
  if (result.input <= largest && result.output <= largest && given <= largest) return result;
  require_finite(block);
  throw expected(ErrorCode::not_finite, "squares within the range of float32", "inputs and outputGrads", "an overflow");
}

double absolute_damping(const FisherBlock& block, const BlockTraces& traces, const Damping& damping) {
  if (!damping.relative) return damping.value;
  return damping.value * (traces.input / static_cast<double>(block.cols())) *
         (traces.output / static_cast<double>(block.rows()));
}

bool usable(double damping) {
  return damping >= static_cast<double>(std::numeric_limits<float>::min()) &&
         damping <= static_cast<double>(std::numeric_limits<float>::max());
}

void require_damping(double lambda) {
  if (!(lambda > 0)) {
    throw expected(ErrorCode::invalid_value, "inputs and outputGrads that are not all zero", "relative damping",
                   "a mean eigenvalue of 0");
  }
  if (!usable(lambda)) {
    throw expected(ErrorCode::invalid_value, "rows that make it a number in the range of float32", "relative damping",
                   to_text(lambda));
  }
}

double checked_damping(const FisherBlock& block, const BlockTraces& traces, const Damping& damping) {
  const double lambda = absolute_damping(block, traces, damping);
  require_damping(lambda);
  return lambda;
}

bool nothing_to_solve(const BlockTraces& traces, const Damping& damping, const WeightView<const float>& v) {
  return damping.relative && (traces.input == 0 || traces.output == 0) && dot(v, v) == 0;
}

}  // namespace cgfac
