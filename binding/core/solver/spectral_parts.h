#pragma once

#include <cstddef>
#include <span>

#include "core/operator/gram_problem.h"

/// What the two ways to a spectral solution share.
namespace cgfac {

/// How the solution is put together from C, the coordinates of U in the eigenvectors, divided.
enum class Assembly {
  difference,   ///< x = (v − P_g C P_aᵀ)/λ
  covariances,  ///< x = C, with a factor on either side
  own,          ///< x = P_g C P_aᵀ, as v = κ P_g P_aᵀ is the batch's own gradient under the empirical Fisher
};
/// Which of them the problem's sides and gradient allow.
[[nodiscard]] Assembly assembly_of(const GramProblem& problem);
/// κ of v = κ P_g P_aᵀ, which the coordinates of such a v lack; 1 for any other v.
[[nodiscard]] double kappa_of(const GramProblem& problem);

/// Takes negative eigenvalues, which rounding made, as 0; returns how many there were.
std::size_t clamp_to_zero(std::span<double> values);

}  // namespace cgfac
