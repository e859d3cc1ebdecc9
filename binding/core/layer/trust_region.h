#pragma once

#include <span>

#include "core/solver/spectral.h"

namespace cgfac {

/// A layer's exact solve, for other dampings.
struct SolvedSpectrum {
  Spectrum spectrum;
  double damping = 0;  ///< λ that it was solved with
};

/// The factor c by which every layer's λ is multiplied for the Kullback–Leibler divergence that a step of length η
/// predicts, ½η²Σ xᵀF x, to be `kl`: bisection on the spectra, without another pass over the weights. Where no c
/// between 10⁻⁶ and 10⁸ meets it, the nearest.
[[nodiscard]] double trust_factor(std::span<const SolvedSpectrum> layers, double kl, double step_size);

}  // namespace cgfac
