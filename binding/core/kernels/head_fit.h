#pragma once

#include <cstddef>
#include <span>

#include "core/base/matrix_view.h"
#include "core/kernels/sampled_errors.h"

namespace cgfac {

/// The sums that bring a gradient d and errors e = s·(p − y) together by least squares.
struct FitSums {
  double dd = 0;  ///< Σ d²
  double de = 0;  ///< Σ d·e
  double ee = 0;  ///< Σ e²
};

/// The sums of what is compared, and of what is left out: probabilities so near to 0 or 1, in a row of a categorical or
/// at a number of a Bernoulli, that p − y is not known.
struct HeadFit {
  FitSums compared;
  FitSums left_out;
  std::size_t count = 0;  ///< numbers that are compared
};

/// The matrices of a head, (rows × width) each, and what the loss multiplies its errors by: `weights` has one for each
/// of as many equal groups of rows.
struct HeadNumbers {
  Distribution distribution;
  MatrixView<const float> probabilities;
  MatrixView<const float> targets;
  std::span<const float> weights;
};

/// How well `gradient`, of the loss with respect to the logits, is u·s·(p − y) for one number u. The sums are those of
/// fixed pieces in their order: they do not depend on the number of threads.
[[nodiscard]] HeadFit fit_head(const HeadNumbers& head, MatrixView<const float> gradient);

/// The entropies of the targets, weighed and summed: −Σ s·y ln y, and of a Bernoulli −Σ s·(1 − y) ln(1 − y) too.
struct TargetEntropy {
  double sum = 0;
  bool soft = false;  ///< whether any target is between 0 and 1
};

/// What the targets of a head have of it; of a Gaussian 0, and soft.
[[nodiscard]] TargetEntropy target_entropy(const HeadNumbers& head);

}  // namespace cgfac
