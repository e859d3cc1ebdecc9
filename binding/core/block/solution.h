#pragma once

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

}  // namespace cgfac
