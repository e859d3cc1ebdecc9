#include "core/solver/spectral_parts.h"

#include <algorithm>
#include <cmath>

namespace cgfac {

Assembly assembly_of(const GramProblem& problem) {
  if (problem.forms().covariances()) return Assembly::covariances;
  return problem.forms().panels() && empirical(problem.block(), problem.gradient()) ? Assembly::own
                                                                                    : Assembly::difference;
}

double kappa_of(const GramProblem& problem) {
  if (assembly_of(problem) != Assembly::own) return 1;
  return problem.gradient().scale / std::sqrt(problem.block().input.scale * problem.block().output.scale);
}

std::size_t clamp_to_zero(std::span<double> values) {
  const auto negative = std::ranges::count_if(values, [](double x) { return !(x >= 0); });
  for (double& value : values) value = std::max(value, 0.0);
  return static_cast<std::size_t>(negative);
}

}  // namespace cgfac
