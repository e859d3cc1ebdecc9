#pragma once

#include "core/layer/kinds/kinds.h"

namespace cgfac {

/// What is left of a normalisation, y = γ x̂ + β for each channel, the kernel γ and the bias β. Rows are x̂ and g of
/// outFeatures channels, one for each sample and position. A channel's block is 2 × 2, of u = (Σ g x̂, Σ g) over the
/// positions of a sample:
///
///   F_c = factor² · Σ_b u uᵀ/B_s    an average, whatever the history
///   λ = ρ² · tr F/(2C)              with relative damping
///
/// Source: K. Osawa et al., "Large-scale distributed second-order optimization using Kronecker-factored approximate
/// curvature for deep convolutional neural networks", 2019, §3.2 (the unit-wise Fisher matrix).
class ScaleShiftKind final : public KindOfLayer {
 public:
  [[nodiscard]] std::size_t input_width(const LayerShape& shape) const override { return shape.out_features; }
  [[nodiscard]] FisherBlock block(const LayerShape& shape, const LayerRows& rows, DrawnRows& memory) const override;
  void form_gradient(const LayerShape& shape, MatrixView<const float> inputs, MatrixView<const float> output_grads,
                     double scale, const WeightView<float>& v) const override;
  void products(const LayerShape& shape, const WeightView<const float>& x, MatrixView<const float> inputs,
                MatrixView<const float> output_grads, std::span<double> products) const override;
  /// All of it is of the sampled gradients.
  [[nodiscard]] ShareWeights share_weights(const LayerRows& rows, const FisherBlock& /*block*/) const override {
    return {.input = static_cast<double>(rows.output_samples), .output = 1};
  }
  [[nodiscard]] Factor input_factor(const LayerShape& shape, const FactorOptions& options) const override;
  [[nodiscard]] Factor output_factor(const LayerShape& shape, const FactorOptions& options) const override;
  void apply_inverses(const LayerShape& shape, DampedInverse& input, DampedInverse& output,
                      const WeightView<float>& x) const override;
};

}  // namespace cgfac
