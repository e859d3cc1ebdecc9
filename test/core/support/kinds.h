#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/layer/layer.h"
#include "support/reference.h"

namespace cgfac::test {

/// The windows over data of some extents, with the zeros around it that TensorFlow.js has.
inline PatchShape windows(const PatchShape::Extents& size, std::size_t channels, const PatchShape::Extents& kernel,
                          const PatchShape::Extents& strides, const PatchShape::Extents& dilations, bool same) {
  PatchShape shape{.size = size, .channels = channels, .kernel = kernel, .strides = strides, .dilations = dilations};
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const std::size_t window = ((kernel[axis] - 1) * dilations[axis]) + 1;
    if (same) {
      shape.out[axis] = (size[axis] + strides[axis] - 1) / strides[axis];
      const std::size_t reach = ((shape.out[axis] - 1) * strides[axis]) + window;
      shape.pad[axis] = reach > size[axis] ? (reach - size[axis]) / 2 : 0;
    } else {
      shape.out[axis] = ((size[axis] - window) / strides[axis]) + 1;
    }
  }
  return shape;
}

/// Rows of a layer of any kind: of the inputs, of the loss's gradients, and of those of sampled targets.
struct KindRows {
  LayerShape shape;
  std::size_t samples = 0;
  std::size_t sampled = 0;    ///< of the first samples
  std::size_t positions = 1;  ///< that a row each is recorded of
  std::vector<float> inputs{};
  std::vector<float> loss_grads{};
  std::vector<float> fisher_grads{};

  [[nodiscard]] MatrixView<const float> inputs_view() const {
    return {inputs.data(), samples * positions, kind_of(shape).input_width(shape)};
  }
  [[nodiscard]] MatrixView<const float> loss_view() const {
    return {loss_grads.data(), samples * positions, kind_of(shape).output_width(shape)};
  }
  [[nodiscard]] MatrixView<const float> fisher_view() const {
    return {fisher_grads.data(), sampled * positions, kind_of(shape).output_width(shape)};
  }
  /// In place of what was recorded.
  void record(Layer& layer) const {
    layer.clear();
    layer.record(inputs_view(), loss_view(), samples, 1);
    layer.record_fisher(fisher_view(), 1, true, sampled);
  }
  void record(RecordedRows& rows) const {
    rows.clear();
    rows.append(inputs_view(), loss_view(), samples, 1);
    rows.append_fisher(fisher_view(), 1, true, sampled);
  }
};

/// A kind with a geometry, and how many samples and positions its rows have.
struct KindCase {
  std::string name;
  LayerShape shape;
  std::size_t samples = 5;
  std::size_t sampled = 5;
  std::size_t positions = 1;

  /// Other rows for each seed.
  [[nodiscard]] KindRows rows(std::uint64_t seed) const {
    const KindOfLayer& kind = kind_of(shape);
    KindRows rows{.shape = shape, .samples = samples, .sampled = sampled, .positions = positions};
    rows.inputs = random_numbers<float>(samples * positions * kind.input_width(shape), seed);
    rows.loss_grads = random_numbers<float>(samples * positions * kind.output_width(shape), seed + 1);
    rows.fisher_grads = random_numbers<float>(sampled * positions * kind.output_width(shape), seed + 2);
    if (shape.kind == Kind::embedding) {
      // ids of the first half of the table alone
      for (float& id : rows.inputs)
        id = static_cast<float>(static_cast<std::size_t>((id + 1) * static_cast<float>(shape.in_features) / 4));
    }
    return rows;
  }
};

/// A convolution over some windows.
inline LayerShape convolution(const PatchShape& patches, std::size_t filters, bool bias = true) {
  return {.kind = Kind::convolution,
          .in_features = patches.features(),
          .out_features = filters,
          .bias = bias,
          .layout = KernelLayout::in_out,
          .patches = patches,
          .max_rows = 256};
}

/// A transposed convolution; the windows are over what comes out.
inline LayerShape transposed_convolution(const PatchShape& patches, std::size_t channels) {
  return {.kind = Kind::transposed_convolution,
          .in_features = channels,
          .out_features = patches.features(),
          .layout = KernelLayout::out_in,
          .patches = patches,
          .max_rows = 256};
}

/// A depthwise convolution over some windows.
inline LayerShape depthwise(const PatchShape& patches, std::size_t multiplier, bool bias = true) {
  return {.kind = Kind::depthwise_convolution,
          .in_features = patches.taps(),
          .out_features = patches.channels * multiplier,
          .bias = bias,
          .layout = KernelLayout::in_out,
          .patches = patches,
          .multiplier = multiplier,
          .max_rows = 256};
}

/// Kinds other than the dense one, of awkward geometries.
inline std::vector<KindCase> kind_cases() {
  const PatchShape image = windows({1, 7, 6}, 3, {1, 3, 2}, {1, 2, 1}, {1, 1, 2}, true);
  const PatchShape line = windows({1, 1, 11}, 2, {1, 1, 4}, {1, 1, 2}, {1, 1, 1}, false);
  const PatchShape volume = windows({4, 3, 5}, 2, {2, 3, 2}, {1, 1, 2}, {2, 1, 1}, true);
  LayerShape reduced = convolution(image, 4);
  reduced.weight_sharing = WeightSharing::reduce;
  LayerShape drawn = convolution(image, 4);
  drawn.max_rows = 17;
  const LayerShape table{.kind = Kind::embedding, .in_features = 40, .out_features = 3, .layout = KernelLayout::in_out};
  const LayerShape scale{
      .kind = Kind::scale_shift, .in_features = 1, .out_features = 6, .bias = true, .layout = KernelLayout::in_out};
  return {{.name = "image", .shape = convolution(image, 4)},
          {.name = "image, fewer sampled", .shape = convolution(image, 4), .sampled = 2},
          {.name = "image, reduced", .shape = reduced},
          {.name = "image, drawn", .shape = drawn},
          {.name = "line, no bias", .shape = convolution(line, 5, false)},
          {.name = "volume", .shape = convolution(volume, 3)},
          {.name = "one sample", .shape = convolution(line, 1), .samples = 1, .sampled = 1},
          {.name = "transposed", .shape = transposed_convolution(image, 4)},
          {.name = "depthwise", .shape = depthwise(image, 2)},
          {.name = "depthwise, no bias", .shape = depthwise(line, 1, false), .sampled = 3},
          {.name = "embedding", .shape = table, .positions = 4},
          {.name = "scale and shift", .shape = scale, .sampled = 3, .positions = 4},
          {.name = "scale and shift of samples", .shape = scale, .samples = 9, .sampled = 9}};
}

}  // namespace cgfac::test
