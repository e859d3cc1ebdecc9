#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "core/base/names.h"
#include "core/block/fisher_block.h"
#include "core/block/patches.h"
#include "core/factor/damped_inverse.h"
#include "core/factor/factor.h"

namespace cgfac {

/// The kinds of layers that differ in the Fisher block that their rows make.
enum class Kind { dense, diagonal, convolution, transposed_convolution, depthwise_convolution, embedding, scale_shift };

/// The names of the kinds as options.
template <>
inline constexpr std::array<std::string_view, 7> names_of<Kind>{
    "dense", "diagonal", "convolution", "transposedConvolution", "depthwiseConvolution", "embedding", "scaleShift"};

/// What positions that share weights make of a sample: a row each, or one of all of them.
enum class WeightSharing {
  expand,  ///< A = Σ aaᵀ/B over positions, G the mean of ggᵀ over rows
  reduce,  ///< A of the mean of a over positions, G of the sum of g
};

/// The names of the sharings as options.
template <>
inline constexpr std::array<std::string_view, 2> names_of<WeightSharing>{"expand", "reduce"};

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
  std::size_t columns = 0;     ///< of a diagonal kind: those of the matrix that its weights are, or 0
  PatchShape patches{};        ///< of convolutions: of the data, or where transposed of what comes out
  std::size_t multiplier = 1;  ///< of a depthwise convolution: outputs of a channel
  WeightSharing weight_sharing = WeightSharing::expand;  ///< of convolutions
  std::size_t max_rows = 0;  ///< of convolutions: rows of each side that a factor takes in at the most
  bool mask_zero = false;    ///< of an embedding: whether the id 0 stands for no token

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
  visit("size", shape.patches.size);
  visit("channels", shape.patches.channels);
  visit("kernel", shape.patches.kernel);
  visit("strides", shape.patches.strides);
  visit("dilations", shape.patches.dilations);
  visit("pad", shape.patches.pad);
  visit("out", shape.patches.out);
  visit("multiplier", shape.multiplier);
  visit("weightSharing", shape.weight_sharing);
  visit("maxRows", shape.max_rows);
  visit("maskZero", shape.mask_zero);
}

/// Samples of a step, numbered through its batches: sites that share weights see the same ones.
struct SampleRange {
  std::size_t first = 0;
  std::size_t count = 0;
};

/// Rows of the step that were recorded together: so many for each sample, sample by sample.
struct RecordedPart {
  std::size_t first_row = 0;
  std::size_t rows = 0;
  SampleRange samples{};
};

/// The rows of a layer's two sides as they were recorded, and what makes factors of them.
struct LayerRows {
  MatrixView<const float> inputs;              ///< of the input side: one per sample, or per sample and position
  MatrixView<const float> output_grads;        ///< of the output side
  std::size_t samples = 0;                     ///< B, that the inputs come from
  std::size_t output_samples = 0;              ///< that the output gradients come from
  double factor = 1;                           ///< makes output gradients those of a sample's own loss
  std::span<const RecordedPart> parts{};       ///< that the inputs were recorded in
  std::span<const std::size_t> output_rows{};  ///< of each part: its first ones; empty where they do not belong to them
  std::optional<DrawRange> input_draw{};       ///< of the rows of all ranks, where these are not all
  std::optional<DrawRange> output_draw{};
};

/// Memory of rows that a factor takes in, where they do not lie as they were recorded.
struct DrawnRows {
  std::vector<float> inputs;
  std::vector<float> output_grads;
  std::uint64_t stream = 0;  ///< another draw for each
};

/// What a share of a batch weighs in the factors of all of it.
struct ShareWeights {
  double input = 0;
  double output = 0;
};

/// What the layers of a kind have in common. `inputs` and `output_grads` are rows as they were recorded, as many of
/// each.
class KindOfLayer {
 public:
  KindOfLayer() = default;
  KindOfLayer(const KindOfLayer&) = delete;
  KindOfLayer& operator=(const KindOfLayer&) = delete;
  virtual ~KindOfLayer() = default;

  /// Numbers of a recorded row of the input side.
  [[nodiscard]] virtual std::size_t input_width(const LayerShape& shape) const { return shape.in_features; }
  /// Numbers of a recorded row of the output side.
  [[nodiscard]] virtual std::size_t output_width(const LayerShape& shape) const { return shape.out_features; }
  /// Whether factors are made of the rows as they lie, so that a direction may be the product of multiplied rows.
  [[nodiscard]] virtual bool by_rows() const { return false; }
  /// Whether the solvers of a Kronecker-factored block apply; else directions come from both factors' own inverses.
  [[nodiscard]] virtual bool any_solver() const { return false; }
  /// The rows that the factors take in.
  [[nodiscard]] virtual FisherBlock block(const LayerShape& shape, const LayerRows& rows, DrawnRows& memory) const = 0;
  /// v ← scale · Σ over rows and positions of g [a 1]ᵀ
  virtual void form_gradient(const LayerShape& shape, MatrixView<const float> inputs,
                             MatrixView<const float> output_grads, double scale, const WeightView<float>& v) const = 0;
  /// products_r ← Σ over the positions of row r of gᵀ X [a 1]
  virtual void products(const LayerShape& shape, const WeightView<const float>& x, MatrixView<const float> inputs,
                        MatrixView<const float> output_grads, std::span<double> products) const = 0;
  /// The rows of the input side as the factor has them, one for each that was recorded or for each position of it.
  [[nodiscard]] virtual SideRows input_rows(const LayerShape& /*shape*/, MatrixView<const float> inputs) const {
    return {.recorded = inputs, .features = inputs.cols};
  }
  /// The rows of the output side as the factor has them.
  [[nodiscard]] virtual SideRows output_rows(const LayerShape& /*shape*/, MatrixView<const float> output_grads) const {
    return {.recorded = output_grads, .features = output_grads.cols};
  }
  /// What the factors of a share, a block of its rows, weigh in the mean over all shares: samples of the input side,
  /// rows of the output side.
  [[nodiscard]] virtual ShareWeights share_weights(const LayerRows& rows, const FisherBlock& /*block*/) const {
    return {.input = static_cast<double>(rows.samples), .output = static_cast<double>(rows.output_grads.rows)};
  }
  /// The input factor, and how it is averaged.
  [[nodiscard]] virtual Factor input_factor(const LayerShape& shape, const FactorOptions& options) const {
    return {shape.in_features, shape.bias, options};
  }
  /// The output factor, and how it is averaged.
  [[nodiscard]] virtual Factor output_factor(const LayerShape& shape, const FactorOptions& options) const {
    return {shape.out_features, false, options};
  }
  /// x ← the inverses of both factors times x.
  virtual void apply_inverses(const LayerShape& shape, DampedInverse& input, DampedInverse& output,
                              const WeightView<float>& x) const;
};

/// The kind of a layer.
[[nodiscard]] const KindOfLayer& kind_of(const LayerShape& shape);

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

/// The Fisher block of a batch of dense rows.
[[nodiscard]] inline FisherBlock fisher_block(const LayerShape& shape, const Batch& batch) {
  const std::size_t samples = batch.inputs.rows;
  DrawnRows none;
  return kind_of(shape).block(shape,
                              {.inputs = batch.inputs,
                               .output_grads = batch.output_grads,
                               .samples = samples,
                               .output_samples = batch.output_grads.rows,
                               .factor = sample_factor(shape, samples)},
                              none);
}

}  // namespace cgfac
