#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

#include "core/layer/layer.h"
#include "support/kinds.h"
#include "support/patches.h"
#include "support/truth.h"

/// What the directions of layers of every kind should be, in float64, from their definitions (docs/math.md, §12).
namespace cgfac::fuzz {

/// The rows a and g of one block of a layer: of a channel, or of all of it. There are as many of g as of a, but for
/// sampled targets.
struct BlockRows {
  test::DenseMatrix a;
  test::DenseMatrix g;
};

/// A block of a layer's weights, which are an m × n matrix with the bias as last column: some of its rows.
struct KindBlock {
  std::size_t first;
  std::size_t count;
  test::DenseAverage a;
  test::DenseAverage g;
};

/// R with a last column of ones.
inline test::DenseMatrix with_ones(const test::DenseMatrix& rows, bool bias) {
  test::DenseMatrix result{.rows = rows.rows, .cols = rows.cols + (bias ? 1 : 0)};
  for (std::size_t i = 0; i < rows.rows; ++i) {
    for (std::size_t j = 0; j < rows.cols; ++j) result(i, j) = rows(i, j);
    if (bias) result(i, rows.cols) = 1;
  }
  return result;
}

/// What the windows over recorded samples see, a row each, of all channels or of one.
inline test::DenseMatrix patch_rows(const PatchShape& shape, MatrixView<const float> samples, std::size_t first_channel,
                                    std::size_t channels) {
  test::DenseMatrix result{.rows = samples.rows * shape.positions(), .cols = shape.taps() * channels};
  std::size_t next = 0;
  for (std::size_t sample = 0; sample < samples.rows; ++sample) {
    test::each_place(shape.out, [&](const PatchShape::Extents& window) {
      test::each_place(shape.kernel, [&](const PatchShape::Extents& tap) {
        for (std::size_t c = first_channel; c < first_channel + channels; ++c)
          result.numbers[next++] =
              static_cast<double>(test::seen(shape, samples.data + (sample * samples.cols), window, tap, c));
      });
    });
  }
  return result;
}

/// Columns of recorded rows that hold `width` numbers at each position.
inline test::DenseMatrix position_rows(MatrixView<const float> recorded, std::size_t width, std::size_t first,
                                       std::size_t count) {
  test::DenseMatrix result{.rows = recorded.size() / width, .cols = count};
  for (std::size_t i = 0; i < result.rows; ++i) {
    for (std::size_t j = 0; j < count; ++j) result(i, j) = static_cast<double>(recorded.data[(i * width) + first + j]);
  }
  return result;
}

/// How many blocks a kind has.
inline std::size_t blocks_of(const LayerShape& shape) {
  if (shape.kind == Kind::depthwise_convolution) return shape.patches.channels;
  return shape.kind == Kind::scale_shift ? shape.out_features : 1;
}

/// The rows of a block, of inputs and gradients as they were recorded.
inline BlockRows rows_of(const LayerShape& shape, std::size_t block, MatrixView<const float> inputs,
                         MatrixView<const float> grads) {
  const PatchShape& patches = shape.patches;
  switch (shape.kind) {
    case Kind::convolution:
      return {.a = with_ones(patch_rows(patches, inputs, 0, patches.channels), shape.bias),
              .g = position_rows(grads, shape.out_features, 0, shape.out_features)};
    case Kind::transposed_convolution:
      return {.a = with_ones(position_rows(inputs, shape.in_features, 0, shape.in_features), shape.bias),
              .g = patch_rows(patches, grads, 0, patches.channels)};
    case Kind::depthwise_convolution:
      return {.a = with_ones(patch_rows(patches, inputs, block, 1), shape.bias),
              .g = position_rows(grads, shape.out_features, block * shape.multiplier, shape.multiplier)};
    case Kind::scale_shift:
      return {.a = with_ones(position_rows(inputs, shape.out_features, block, 1), true),
              .g = position_rows(grads, shape.out_features, block, 1)};
    case Kind::embedding: {
      test::DenseMatrix a{.rows = inputs.rows, .cols = shape.in_features};
      for (std::size_t i = 0; i < a.rows; ++i) a(i, static_cast<std::size_t>(inputs(i, 0))) = 1;
      return {.a = a, .g = position_rows(grads, shape.out_features, 0, shape.out_features)};
    }
    case Kind::dense:
    case Kind::diagonal:
      break;
  }
  return {.a = with_ones(position_rows(inputs, shape.in_features, 0, shape.in_features), shape.bias),
          .g = position_rows(grads, shape.out_features, 0, shape.out_features)};
}

/// scale · RᵀR, or its diagonal alone.
inline test::DenseMatrix factor_of(const test::DenseMatrix& rows, double scale, bool diagonal) {
  test::DenseMatrix result = rows.transposed() * rows;
  for (std::size_t i = 0; i < result.rows; ++i) {
    for (std::size_t j = 0; j < result.cols; ++j) result(i, j) *= diagonal && i != j ? 0 : scale;
  }
  return result;
}

/// The rows of a layer's step: of all samples, and of those whose targets were sampled.
struct RecordedStep {
  MatrixView<const float> inputs;
  MatrixView<const float> loss_grads;
  MatrixView<const float> fisher_grads;
  std::size_t samples;
  std::size_t sampled;
  std::size_t positions;  ///< recorded rows of each sample
};

/// A of a block and G of it, of one step.
inline test::DenseFactors step_factors(const LayerShape& shape, std::size_t block, const RecordedStep& step) {
  const auto samples = static_cast<double>(step.samples);
  const auto sampled = static_cast<double>(step.sampled);
  const BlockRows rows = rows_of(shape, block, step.inputs, step.fisher_grads);
  if (shape.kind == Kind::diagonal) {
    test::DenseMatrix one{.rows = 1, .cols = 1};
    one(0, 0) = 1;
    return {.a = one, .g = factor_of(rows.g, 1 / sampled, true)};
  }
  if (shape.kind == Kind::scale_shift) {  // u_b = (Σ g x̂, Σ g) over the positions of a sample
    test::DenseMatrix u{.rows = step.sampled, .cols = 2};
    for (std::size_t i = 0; i < step.sampled * step.positions; ++i) {
      u(i / step.positions, 0) += rows.g(i, 0) * rows.a(i, 0);
      u(i / step.positions, 1) += rows.g(i, 0);
    }
    test::DenseMatrix one{.rows = 1, .cols = 1};
    one(0, 0) = 1;
    return {.a = factor_of(u, 1 / sampled, false), .g = one};
  }
  return {.a = factor_of(rows.a, 1 / samples, shape.kind == Kind::embedding),
          .g = factor_of(rows.g, 1 / static_cast<double>(rows.g.rows), false)};
}

/// The gradient of a step, Σ g [a 1]ᵀ/B, and the same of absolute values, which tells how its sums cancel.
struct KindGradient {
  test::DenseMatrix v;
  test::DenseMatrix sizes;
};
inline KindGradient step_gradient(const LayerShape& shape, const RecordedStep& step) {
  KindGradient result{.v = {.rows = shape.out_features, .cols = shape.cols()},
                      .sizes = {.rows = shape.out_features, .cols = shape.cols()}};
  const std::size_t blocks = blocks_of(shape);
  const std::size_t height = shape.out_features / blocks;
  for (std::size_t block = 0; block < blocks; ++block) {
    const BlockRows rows = rows_of(shape, block, step.inputs, step.loss_grads);
    for (std::size_t row = 0; row < rows.a.rows; ++row) {
      for (std::size_t i = 0; i < height; ++i) {
        for (std::size_t j = 0; j < rows.a.cols; ++j) {
          const double product = rows.g(row, i) * rows.a(row, j) / static_cast<double>(step.samples);
          result.v((block * height) + i, j) += product;
          result.sizes((block * height) + i, j) += std::abs(product);
        }
      }
    }
  }
  return result;
}

/// All blocks of a layer, averaged over its steps.
class KindTruth {
 public:
  KindTruth(const LayerShape& shape, const LayerOptions& options) : shape_(shape), damping_(options.damping) {
    const std::size_t blocks = blocks_of(shape);
    const std::size_t height = shape.out_features / blocks;
    for (std::size_t block = 0; block < blocks; ++block) {
      const double a = averages(shape, options, true) ? options.factor.decay : 0;
      const double g = averages(shape, options, false) ? options.factor.decay : 0;
      blocks_.push_back({.first = block * height, .count = height, .a = {.decay = a}, .g = {.decay = g}});
    }
  }

  void refresh(const RecordedStep& step) {
    for (std::size_t block = 0; block < blocks_.size(); ++block) {
      const test::DenseFactors factors = step_factors(shape_, block, step);
      blocks_[block].a.add(factors.a);
      blocks_[block].g.add(factors.g);
    }
  }
  /// The least trace of any factor.
  [[nodiscard]] double least_trace() const {
    double least = largest_float;
    for (const KindBlock& block : blocks_)
      least = std::min({least, test::trace_of(block.a.mean()), test::trace_of(block.g.mean())});
    return least;
  }
  /// x of a gradient, and the largest condition of any block.
  [[nodiscard]] Truth direction(const test::DenseMatrix& v) const {
    Truth result{.x = v};
    for (const KindBlock& block : blocks_) {
      test::DenseMatrix part{.rows = block.count, .cols = v.cols};
      for (std::size_t i = 0; i < part.numbers.size(); ++i) part.numbers[i] = v.numbers[(block.first * v.cols) + i];
      const Truth truth = Spectral({.a = block.a.mean(), .g = block.g.mean()}).factored(part, damping_of(block));
      result.condition = std::max(result.condition, truth.condition);
      for (std::size_t i = 0; i < part.numbers.size(); ++i)
        result.x.numbers[(block.first * v.cols) + i] = truth.x.numbers[i];
    }
    return result;
  }

 private:
  /// Whether a side's factor is an average: with a history, or because its kind has no other form of it.
  [[nodiscard]] static bool averages(const LayerShape& shape, const LayerOptions& options, bool input) {
    if (options.factor.history != FactorHistory::none || shape.kind == Kind::depthwise_convolution ||
        shape.kind == Kind::scale_shift || shape.kind == Kind::diagonal)
      return true;
    return shape.kind == Kind::embedding && input;
  }
  /// γ's of a block: those of the means over all blocks, in proportion to its own traces where they are relative.
  [[nodiscard]] FactoredDamping damping_of(const KindBlock& block) const {
    constexpr double least_share = 0.01;
    double a = 0;
    double g = 0;
    for (const KindBlock& each : blocks_) {
      a += test::mean_eigenvalue(each.a.mean()) / static_cast<double>(blocks_.size());
      g += test::mean_eigenvalue(each.g.mean()) / static_cast<double>(blocks_.size());
    }
    const double value = damping_.value;
    if (shape_.kind == Kind::diagonal) return {.input = 0, .output = damping_.relative ? value * g : value};
    if (shape_.kind == Kind::scale_shift) return {.input = damping_.relative ? value * value * a : value, .output = 0};
    if (!damping_.relative)
      return {.input = std::sqrt(a / g) * std::sqrt(value), .output = std::sqrt(value) / std::sqrt(a / g)};
    return {.input = value * std::max(test::mean_eigenvalue(block.a.mean()), least_share * a),
            .output = value * std::max(test::mean_eigenvalue(block.g.mean()), least_share * g)};
  }

  LayerShape shape_;
  Damping damping_;
  std::vector<KindBlock> blocks_;
};

}  // namespace cgfac::fuzz
