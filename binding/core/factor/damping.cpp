#include "core/factor/damping.h"

#include <cmath>

#include "core/base/error.h"

namespace cgfac {

FactoredDamping factored_damping(const FactorMoments& input, const FactorMoments& output, const Damping& damping) {
  const double ratio = std::sqrt(input.mean() / output.mean());  // π
  const double root = std::sqrt(damping.value);
  if (input.squared) {
    const double square = damping.value * damping.value * input.mean_held();
    return {.input = damping.relative ? square : damping.value, .output = 0, .relative = damping.relative};
  }
  if (input.exact) {
    const double gamma = damping.relative ? damping.value * output.mean_held() : damping.value;
    return {.input = 0, .output = gamma, .relative = damping.relative};
  }
  const double gamma_input = damping.relative ? damping.value * input.mean_held() : ratio * root;
  const double gamma_output = damping.relative ? damping.value * output.mean_held() : root / ratio;
  return {
      .input = gamma_input + input.cut_off(), .output = gamma_output + output.cut_off(), .relative = damping.relative};
}

double tikhonov_damping(const FactorMoments& input, const FactorMoments& output, const Damping& damping) {
  const double lambda = damping.relative ? damping.value * input.mean_held() * output.mean_held() : damping.value;
  const double lost = (input.trace * output.trace) - (input.kept_trace * output.kept_trace);
  return lambda + (lost / (static_cast<double>(input.dimension) * static_cast<double>(output.dimension)));
}

bool usable(const FactorMoments& input, const FactorMoments& output, const FactoredDamping& gamma) {
  return input.trace > 0 && output.trace > 0 && (input.exact || usable(gamma.input)) &&
         (output.exact || usable(gamma.output));
}

void require_usable(const FactorMoments& input, const FactorMoments& output, const FactoredDamping& gamma) {
  if (!(input.trace > 0 && output.trace > 0)) {
    throw expected(ErrorCode::invalid_value, "inputs and outputGrads that are not all zero", "factored damping",
                   "a mean eigenvalue of 0");
  }
  for (const double number : {input.exact ? gamma.output : gamma.input, output.exact ? gamma.input : gamma.output}) {
    if (!usable(number)) {
      throw expected(ErrorCode::invalid_value, "rows that make it a number in the range of float32", "factored damping",
                     to_text(number));
    }
  }
}

}  // namespace cgfac
