#pragma once

#include "core/layer/kinds/dense.h"

namespace cgfac {

/// Weights of which nothing is known but their gradients: 1 ⊗ diag(D), with rows g of outFeatures numbers and a single
/// input, which is 1:
///
///   D = factor² · Σ g²/N    over N samples; rows of single samples, or one of the sum over them
///
/// Targets of different samples are drawn independently of each other, and their errors have a mean of 0: the square of
/// the sum is in the mean the sum of the squares.
///
/// Source: S. Becker and Y. LeCun, "Improving the convergence of back-propagation learning with second order methods",
/// 1988 (a diagonal in the place of the matrix); J. Martens and R. Grosse, 2015, §5 (sampled targets).
class DiagonalKind final : public KindOfLayer {
 public:
  [[nodiscard]] FisherBlock block(const LayerShape& shape, const LayerRows& rows, DrawnRows& memory) const override;
  void form_gradient(const LayerShape& shape, MatrixView<const float> inputs, MatrixView<const float> output_grads,
                     double scale, const WeightView<float>& v) const override;
  void products(const LayerShape& shape, const WeightView<const float>& x, MatrixView<const float> inputs,
                MatrixView<const float> output_grads, std::span<double> products) const override;
  /// A row may be the sum over all samples: they count, not it.
  [[nodiscard]] ShareWeights share_weights(const LayerRows& rows, const FisherBlock& /*block*/) const override {
    return {.input = 1, .output = static_cast<double>(rows.output_samples)};
  }
  /// The factor 1.
  [[nodiscard]] Factor input_factor(const LayerShape& shape, const FactorOptions& options) const override;
  /// D as a running average.
  [[nodiscard]] Factor output_factor(const LayerShape& shape, const FactorOptions& options) const override;

 private:
  DenseKind dense_;
};

}  // namespace cgfac
