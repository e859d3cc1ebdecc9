#pragma once

#include "core/layer/kinds/kinds.h"

namespace cgfac {

/// An embedding: a table of inFeatures rows, of which each position takes one by its id. The one-hot inputs are never
/// made:
///
///   A = diag(count of each id)/B     an average, whatever the history
///   G = factor² · gᵀg/N_g            the mean over positions
///
/// The rows of v of ids that are absent are zero, and cost nothing. Ids are recorded as numbers of float32, which are
/// exact up to 2²⁴.
///
/// Source: R. Eschenhagen et al., 2023 (expand), for inputs that are unit vectors.
class EmbeddingKind final : public KindOfLayer {
 public:
  [[nodiscard]] std::size_t input_width(const LayerShape& /*shape*/) const override { return 1; }
  [[nodiscard]] FisherBlock block(const LayerShape& shape, const LayerRows& rows, DrawnRows& memory) const override;
  void form_gradient(const LayerShape& shape, MatrixView<const float> inputs, MatrixView<const float> output_grads,
                     double scale, const WeightView<float>& v) const override;
  void products(const LayerShape& shape, const WeightView<const float>& x, MatrixView<const float> inputs,
                MatrixView<const float> output_grads, std::span<double> products) const override;
  [[nodiscard]] Factor input_factor(const LayerShape& shape, const FactorOptions& options) const override;
  void apply_inverses(const LayerShape& shape, DampedInverse& input, DampedInverse& output,
                      const WeightView<float>& x) const override;
};

}  // namespace cgfac
