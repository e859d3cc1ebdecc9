#pragma once

#include "core/layer/kinds/kinds.h"

namespace cgfac {

/// A convolution: a dense layer over the patches of its data, and one whose positions are those of its output. Rows are
/// recorded as samples of data and of gradients of what comes out, all positions of each.
///
///   expand   A = (T/T') Σ [a 1]ᵀ[a 1]/B, G = factor² · Σ gᵀg/rows   over T' of T positions, drawn anew at each refresh
///   reduce   A of the mean of [a 1] over positions, G of the sum of g
///
/// A transposed one has the input's channels at each position of its input for a, and for g the patch of output
/// gradients that the position reaches.
///
/// Source: R. Grosse and J. Martens, "A Kronecker-factored approximate Fisher matrix for convolution layers", 2016, §3;
/// R. Eschenhagen et al., "Kronecker-Factored Approximate Curvature for Modern Neural Network Architectures", 2023, §3
/// (expand and reduce).
class ConvolutionKind final : public KindOfLayer {
 public:
  [[nodiscard]] bool any_solver() const override { return true; }
  [[nodiscard]] std::size_t input_width(const LayerShape& shape) const override;
  [[nodiscard]] std::size_t output_width(const LayerShape& shape) const override;
  [[nodiscard]] SideRows input_rows(const LayerShape& shape, MatrixView<const float> inputs) const override;
  [[nodiscard]] SideRows output_rows(const LayerShape& shape, MatrixView<const float> output_grads) const override;
  [[nodiscard]] FisherBlock block(const LayerShape& shape, const LayerRows& rows, DrawnRows& memory) const override;
  void form_gradient(const LayerShape& shape, MatrixView<const float> inputs, MatrixView<const float> output_grads,
                     double scale, const WeightView<float>& v) const override;
  void products(const LayerShape& shape, const WeightView<const float>& x, MatrixView<const float> inputs,
                MatrixView<const float> output_grads, std::span<double> products) const override;
};

/// The input side of recorded samples of a convolution, transposed or not.
[[nodiscard]] SideRows convolution_inputs(const LayerShape& shape, MatrixView<const float> inputs);
/// The output side of recorded samples of a convolution, transposed or not.
[[nodiscard]] SideRows convolution_outputs(const LayerShape& shape, MatrixView<const float> output_grads);
/// The rows of both sides that the factors of a convolution take in.
[[nodiscard]] FisherBlock convolution_block(const LayerShape& shape, const SideRows& inputs, const SideRows& outputs,
                                            const LayerRows& rows, DrawnRows& memory);

}  // namespace cgfac
