#pragma once

#include <cmath>
#include <limits>

#include "core/base/matrix_view.h"

namespace cgfac {

/// What becomes of a solution x: out ← keep · out + factor · x.
struct Destination {
  WeightView<float> out;
  double factor = 1;
  double keep = 0;
};

/// Inner products of a solution x of (F + λI) x = v, as far as the solver gets them without a pass of their own; else
/// NaN.
struct SolutionProducts {
  static constexpr double unknown = std::numeric_limits<double>::quiet_NaN();
  double vx = unknown;   ///< ⟨v, x⟩
  double xfx = unknown;  ///< xᵀF x, twice the Kullback–Leibler divergence that a step −x is predicted to cause
  double xx = unknown;   ///< ‖x‖²
};

/// Whether a ‖x‖² that is a difference of the squares of parts, whose norms add up to `extent`, may be more than 1 %
/// off: the parts came from float32 products, and where they were divided by eigenvalues as small as λ, these have the
/// rounding of the largest, which is `condition` times as large.
[[nodiscard]] inline bool cancels(double xx, double extent, double condition = 0) {
  const double rounding = (8 + condition) * 0x1p-24;
  return !(rounding * extent * extent <= 0.01 * xx);
}

/// What a solution is made of.
struct SolutionParts {
  double extent = 0;     ///< what the norms of its parts add up to, such as those of (v − …)/λ
  double condition = 0;  ///< the largest eigenvalue over λ; 0 where it is not known
};

/// Mends what cancelled in the products of x, from what was written: ‖x‖² is that of x where x is there, and ⟨v, x⟩ =
/// xᵀF x + λ‖x‖²; else what is not known to 1 % is unknown.
void mend_products(SolutionProducts& products, double v_norm2, double damping, const SolutionParts& parts,
                   const Destination& destination);

}  // namespace cgfac
