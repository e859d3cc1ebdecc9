#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "support/golden_file.h"
#include "support/kinds.h"

namespace cgfac::test {

/// A golden case of a kind other than the dense one (test/golden/kinds/generate.py).
class GoldenKindCase : public GoldenFile {
 public:
  explicit GoldenKindCase(const std::string& name) : GoldenFile("kinds/" + name) {}

  [[nodiscard]] bool shares() const { return manifest().kind != "embedding" && manifest().kind != "scaleShift"; }
  [[nodiscard]] LayerShape shape(WeightSharing sharing) const {
    LayerShape shape = geometry();
    shape.weight_sharing = sharing;
    shape.max_rows = 1000;
    return shape;
  }
  [[nodiscard]] KindRows rows(WeightSharing sharing) const {
    const bool table = manifest().kind == "embedding";
    const std::string name = table ? "ids" : manifest().kind == "scaleShift" ? "normalised" : "inputs";
    KindRows rows{.shape = shape(sharing), .samples = manifest().batch, .sampled = manifest().fisher_batch};
    if (!shares()) rows.positions = extents(name)[1];
    if (table) {
      for (const std::int32_t id : numbers<std::int32_t>(name)) rows.inputs.push_back(static_cast<float>(id));
    } else {
      rows.inputs = numbers<float>(name);
    }
    rows.loss_grads = numbers<float>("lossGrads");
    rows.fisher_grads = numbers<float>("fisherGrads");
    return rows;
  }
  /// The weight-space numbers of the gradient: the kernel, then the bias.
  [[nodiscard]] std::vector<double> gradient() const {
    return joined({"kernelGrad", "tableGrad", "scaleGrad", "biasGrad", "shiftGrad"});
  }
  [[nodiscard]] std::vector<double> direction(WeightSharing sharing) const {
    const std::string how = sharing == WeightSharing::expand ? "expand" : "reduce";
    return joined({how + "_kernel", how + "_table", "scale", how + "_bias", "shift"});
  }

 private:
  [[nodiscard]] std::vector<double> joined(const std::vector<std::string>& names) const {
    std::vector<double> result;
    for (const std::string& name : names) {
      if (!has(name)) continue;
      const std::vector<double> next = numbers<double>(name);
      result.insert(result.end(), next.begin(), next.end());
    }
    return result;
  }
  [[nodiscard]] PatchShape patches(const std::vector<std::size_t>& data, std::size_t channels) const {
    const std::vector<std::size_t>& kernel = extents("kernelGrad");
    const std::vector<std::size_t>& strides = manifest().strides;
    const std::vector<std::size_t>& dilations = manifest().dilations;
    return windows({1, data[1], data[2]}, channels, {1, kernel[0], kernel[1]}, {1, strides[0], strides[1]},
                   {1, dilations[0], dilations[1]}, manifest().same_padding);
  }
  [[nodiscard]] LayerShape geometry() const {
    const std::string& kind = manifest().kind;
    if (kind == "embedding") {
      const std::vector<std::size_t>& table = extents("tableGrad");
      return {
          .kind = Kind::embedding, .in_features = table[0], .out_features = table[1], .layout = KernelLayout::in_out};
    }
    if (kind == "scaleShift") {
      return {.kind = Kind::scale_shift,
              .in_features = 1,
              .out_features = extents("scaleGrad")[0],
              .bias = true,
              .layout = KernelLayout::in_out};
    }
    const std::vector<std::size_t>& kernel = extents("kernelGrad");
    if (kind == "conv2dTranspose") return transposed_convolution(patches(extents("lossGrads"), kernel[2]), kernel[3]);
    const PatchShape windows = patches(extents("inputs"), kernel[2]);
    return kind == "conv2d" ? convolution(windows, kernel[3], manifest().bias)
                            : depthwise(windows, kernel[3], manifest().bias);
  }
};

/// The golden cases that are one layer each.
inline const std::vector<std::string> golden_kinds{
    "conv2d-valid", "conv2d-same-stride", "conv2d-dilated",       "conv2d-pointwise", "conv1d",
    "conv2d-wide",  "depthwise",          "depthwise-multiplier", "conv2d-transpose", "conv2d-transpose-valid",
    "embedding",    "scale-shift",        "scale-shift-dense"};

}  // namespace cgfac::test
