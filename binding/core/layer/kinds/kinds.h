#pragma once

#include <cstddef>

#include "core/base/names.h"
#include "core/block/fisher_block.h"
#include "core/factor/factor.h"

namespace cgfac {

/// The kinds of layers that differ in the Fisher block that their rows make.
enum class Kind { dense, diagonal };

/// The names of the kinds as options.
template <>
inline constexpr std::array<std::string_view, 2> names_of<Kind>{"dense", "diagonal"};

/// What the caller's output gradients are gradients of.
enum class LossReduction {
  sum,   ///< the loss summed over the batch: each row is the gradient of its own sample's loss
  mean,  ///< the mean over the batch: each row carries 1/B and is multiplied by B
};

/// The names of the reductions as options.
template <>
inline constexpr std::array<std::string_view, 2> names_of<LossReduction>{"sum", "mean"};

/// A layer's kind, shape and layout.
struct LayerShape {
  Kind kind = Kind::dense;
  std::size_t in_features = 0;
  std::size_t out_features = 0;
  bool bias = false;
  LossReduction loss_reduction = LossReduction::sum;
  KernelLayout layout = KernelLayout::out_in;
  std::size_t columns = 0;  ///< of a diagonal kind: those of the matrix that its weights are, or 0

  [[nodiscard]] std::size_t cols() const { return in_features + (bias ? 1 : 0); }  ///< n
  [[nodiscard]] std::size_t size() const { return out_features * cols(); }         ///< m·n
};

/// Calls `visit(name, member)` for each of the options of a shape.
template <typename Visit>
void each_option(LayerShape& shape, const Visit& visit) {
  visit("kind", shape.kind);
  visit("inFeatures", shape.in_features);
  visit("outFeatures", shape.out_features);
  visit("bias", shape.bias);
  visit("lossReduction", shape.loss_reduction);
  visit("kernelLayout", shape.layout);
  visit("columns", shape.columns);
}

/// The rows of a layer's two sides, and what makes factors of them.
struct LayerRows {
  MatrixView<const float> inputs;        ///< N_a rows of the input side: one per sample, or per sample and position
  MatrixView<const float> output_grads;  ///< N_g rows of the output side
  std::size_t samples = 0;               ///< B, that the inputs come from
  std::size_t output_samples = 0;        ///< that the output gradients come from
  double factor = 1;                     ///< makes output gradients those of a sample's own loss
};

/// The Fisher block of rows, by the kind of the layer.
[[nodiscard]] FisherBlock layer_block(const LayerShape& shape, const LayerRows& rows);

/// How the factors of a layer are averaged, by its kind.
[[nodiscard]] FactorOptions input_factor(const LayerShape& shape, const FactorOptions& options);
/// How its output factor is.
[[nodiscard]] FactorOptions output_factor(const LayerShape& shape, const FactorOptions& options);

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
  return layer_block(shape, {.inputs = batch.inputs,
                             .output_grads = batch.output_grads,
                             .samples = samples,
                             .output_samples = batch.output_grads.rows,
                             .factor = sample_factor(shape, samples)});
}

}  // namespace cgfac
