#pragma once

#include "core/layer/kinds/kinds.h"

namespace cgfac {

/// The Fisher block of dense rows, a of inFeatures and g of outFeatures:
///
///   A = [a 1]ᵀ[a 1]/B          summed over a sample's positions
///   G = factor² · gᵀg/N_g      the mean over rows
///
/// Source: R. Grosse and J. Martens, "A Kronecker-factored approximate Fisher matrix for convolution layers", 2016, §3
/// (weight sharing: 'expand' of R. Eschenhagen et al., "Kronecker-Factored Approximate Curvature for Modern Neural
/// Network Architectures", 2023).
[[nodiscard]] FisherBlock dense_block(const LayerShape& shape, const LayerRows& rows);

}  // namespace cgfac
