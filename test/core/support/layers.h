#pragma once

#include <string>
#include <vector>

#include "core/layer/kinds/kinds.h"
#include "core/solver/cg_fac.h"
#include "support/reference.h"

namespace cgfac::test {

/// A layer with random rows and a random right-hand side, for comparisons with plain loops.
struct RandomLayer {
  LayerShape shape;
  std::size_t input_rows;
  std::size_t output_rows;
  std::vector<float> inputs = random_numbers<float>(input_rows * shape.in_features, 1);
  std::vector<float> output_grads = random_numbers<float>(output_rows * shape.out_features, 2);
  std::vector<float> v = random_numbers<float>(size(), 3);

  [[nodiscard]] std::size_t size() const { return shape.out_features * (shape.in_features + (shape.bias ? 1 : 0)); }
  [[nodiscard]] Batch batch() const {
    return {.inputs = {inputs.data(), input_rows, shape.in_features},
            .output_grads = {output_grads.data(), output_rows, shape.out_features}};
  }
  [[nodiscard]] FisherBlock block() const { return fisher_block(shape, batch()); }
  [[nodiscard]] std::string name() const {
    return std::to_string(shape.out_features) + "x" + std::to_string(shape.in_features) + (shape.bias ? "+bias" : "") +
           ", rows " + std::to_string(input_rows) + "/" + std::to_string(output_rows) +
           (shape.layout == KernelLayout::in_out ? ", in-out" : "");
  }
};

/// Awkward shapes: single elements, N = 1, either side covered by its rows, odd sizes, both layouts, bias or none.
inline std::vector<RandomLayer> awkward_layers() {
  std::vector<RandomLayer> layers;
  struct Sizes {
    std::size_t m, n, input_rows, output_rows;
  };
  for (const Sizes& sizes :
       {Sizes{1, 1, 1, 1}, Sizes{1, 5, 3, 3}, Sizes{7, 1, 2, 2}, Sizes{3, 4, 1, 1}, Sizes{13, 29, 5, 5},
        Sizes{31, 11, 7, 3}, Sizes{6, 40, 17, 17}, Sizes{40, 6, 17, 17}, Sizes{5, 7, 64, 33}, Sizes{33, 17, 16, 16}}) {
    for (const bool bias : {false, true}) {
      for (const KernelLayout layout : {KernelLayout::out_in, KernelLayout::in_out}) {
        layers.push_back({.shape = {.in_features = sizes.n, .out_features = sizes.m, .bias = bias, .layout = layout},
                          .input_rows = sizes.input_rows,
                          .output_rows = sizes.output_rows});
      }
    }
  }
  return layers;
}

/// Solves with the given options and no start.
inline CgFacSummary solve(const RandomLayer& layer, double damping, const CgFacOptions& options,
                          std::vector<float>& x) {
  const FisherBlock block = layer.block();
  CgFacWorkspace workspace;
  x.resize(layer.size());
  return cg_fac(block, {.value = damping}, block.view(std::span<const float>(layer.v)), {},
                block.view(std::span<float>(x)), options, workspace, nullptr, nullptr);
}

}  // namespace cgfac::test
