#pragma once

#include <cstddef>

#include "core/block/fisher_block.h"

namespace cgfac {

/// What the caller's output gradients are gradients of.
enum class LossReduction {
  sum,   ///< the loss summed over the batch: each row is the gradient of its own sample's loss
  mean,  ///< the mean over the batch: each row carries 1/B and is multiplied by B
};

/// A dense layer's shape and layout.
struct LayerShape {
  std::size_t in_features = 0;
  std::size_t out_features = 0;
  bool bias = false;
  LossReduction loss_reduction = LossReduction::sum;
  KernelLayout layout = KernelLayout::out_in;

  [[nodiscard]] std::size_t cols() const { return in_features + (bias ? 1 : 0); }  ///< n
  [[nodiscard]] std::size_t size() const { return out_features * cols(); }         ///< m·n
};

/// The rows of a dense layer's two sides, and what makes factors of them.
struct DenseRows {
  MatrixView<const float> inputs;        ///< a, N_a × inFeatures: a row per sample, or per sample and position
  MatrixView<const float> output_grads;  ///< g, N_g × outFeatures
  std::size_t samples = 0;               ///< B, that the inputs come from
  double factor = 1;                     ///< makes g the gradients of a sample's own loss
};

/// The Fisher block of dense rows:
///
///   A = [a 1]ᵀ[a 1]/B          summed over a sample's positions
///   G = factor² · gᵀg/N_g      the mean over rows
///
/// Source: R. Grosse and J. Martens, "A Kronecker-factored approximate Fisher matrix for convolution layers", 2016, §3
/// (weight sharing: 'expand' of R. Eschenhagen et al., "Kronecker-Factored Approximate Curvature for Modern Neural
/// Network Architectures", 2023).
[[nodiscard]] FisherBlock dense_block(const LayerShape& shape, const DenseRows& rows);

/// The block of a layer without rows: its shape and layout.
[[nodiscard]] FisherBlock shape_block(const LayerShape& shape);

/// Rows of a batch as the caller has them: a sample each.
struct Batch {
  MatrixView<const float> inputs;        // batch × inFeatures
  MatrixView<const float> output_grads;  // fisherRows × outFeatures
};

/// What makes a batch's gradients those of a sample's own loss: B for the reduction 'mean'.
[[nodiscard]] inline double sample_factor(const LayerShape& shape, std::size_t batch) {
  return shape.loss_reduction == LossReduction::mean ? static_cast<double>(batch) : 1;
}

/// The Fisher block of a batch.
[[nodiscard]] inline FisherBlock fisher_block(const LayerShape& shape, const Batch& batch) {
  const std::size_t samples = batch.inputs.rows;
  return dense_block(shape, {.inputs = batch.inputs,
                             .output_grads = batch.output_grads,
                             .samples = samples,
                             .factor = sample_factor(shape, samples)});
}

}  // namespace cgfac
