#pragma once

#include "core/layer/kinds/kinds.h"

namespace cgfac {

/// The dense layer, rows a of inFeatures and g of outFeatures:
///
///   A = [a 1]ᵀ[a 1]/B          summed over a sample's positions
///   G = factor² · gᵀg/N_g      the mean over rows
///
/// Source: R. Grosse and J. Martens, "A Kronecker-factored approximate Fisher matrix for convolution layers", 2016, §3
/// (weight sharing: 'expand' of R. Eschenhagen et al., "Kronecker-Factored Approximate Curvature for Modern Neural
/// Network Architectures", 2023).
class DenseKind final : public KindOfLayer {
 public:
  [[nodiscard]] bool by_rows() const override { return true; }
  [[nodiscard]] bool any_solver() const override { return true; }
  [[nodiscard]] FisherBlock block(const LayerShape& shape, const LayerRows& rows, DrawnRows& memory) const override;
  void form_gradient(const LayerShape& shape, MatrixView<const float> inputs, MatrixView<const float> output_grads,
                     double scale, const WeightView<float>& v) const override;
  void products(const LayerShape& shape, const WeightView<const float>& x, MatrixView<const float> inputs,
                MatrixView<const float> output_grads, std::span<double> products) const override;
};

}  // namespace cgfac
