#pragma once

#include "core/layer/kinds/kinds.h"

namespace cgfac {

/// A depthwise convolution: for each channel of the data a block of its own, with its part of the patch (and the 1) for
/// a, and its outputs for g. Factors are averages, small matrices one for each channel; each is damped by its own
/// trace. Weights are taps × (channels · multiplier), the bias belongs to the blocks.
///
/// Source: R. Grosse and J. Martens, 2016, §3, for convolutions of one channel.
class DepthwiseConvolutionKind final : public KindOfLayer {
 public:
  [[nodiscard]] std::size_t input_width(const LayerShape& shape) const override { return shape.patches.sample(); }
  [[nodiscard]] std::size_t output_width(const LayerShape& shape) const override {
    return shape.patches.positions() * shape.out_features;
  }
  [[nodiscard]] SideRows input_rows(const LayerShape& shape, MatrixView<const float> inputs) const override;
  [[nodiscard]] SideRows output_rows(const LayerShape& shape, MatrixView<const float> output_grads) const override;
  [[nodiscard]] FisherBlock block(const LayerShape& shape, const LayerRows& rows, DrawnRows& memory) const override;
  void form_gradient(const LayerShape& shape, MatrixView<const float> inputs, MatrixView<const float> output_grads,
                     double scale, const WeightView<float>& v) const override;
  void products(const LayerShape& shape, const WeightView<const float>& x, MatrixView<const float> inputs,
                MatrixView<const float> output_grads, std::span<double> products) const override;
  /// Rows that were drawn.
  [[nodiscard]] ShareWeights share_weights(const LayerRows& /*rows*/, const FisherBlock& block) const override {
    return {.input = static_cast<double>(block.input.count()), .output = static_cast<double>(block.output.count())};
  }
  [[nodiscard]] Factor input_factor(const LayerShape& shape, const FactorOptions& options) const override;
  [[nodiscard]] Factor output_factor(const LayerShape& shape, const FactorOptions& options) const override;
  void apply_inverses(const LayerShape& shape, DampedInverse& input, DampedInverse& output,
                      const WeightView<float>& x) const override;
};

}  // namespace cgfac
