#pragma once

#include "core/layer/kinds/kinds.h"

namespace cgfac {

/// The Fisher block of weights of which nothing is known but their gradients: 1 ⊗ diag(D), with rows g of outFeatures
/// numbers and a single input, which is 1:
///
///   D = factor² · Σ g²/N    over N samples; rows of single samples, or one of the sum over them
///
/// Targets of different samples are drawn independently of each other, and their errors have a mean of 0: the square of
/// the sum is in the mean the sum of the squares.
///
/// Source: S. Becker and Y. LeCun, "Improving the convergence of back-propagation learning with second order methods",
/// 1988 (a diagonal in the place of the matrix); J. Martens and R. Grosse, 2015, §5 (sampled targets).
[[nodiscard]] FisherBlock diagonal_block(const LayerShape& shape, const LayerRows& rows);

/// D as a running average.
[[nodiscard]] FactorOptions diagonal_factor(const LayerShape& shape, const FactorOptions& options);

/// The factor 1 of its other side.
[[nodiscard]] FactorOptions unit_factor(const FactorOptions& options);

}  // namespace cgfac
