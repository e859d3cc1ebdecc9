#pragma once

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "core/layer/kinds/kinds.h"
#include "support/golden_file.h"
#include "support/reference.h"

namespace cgfac::test {

/// One golden case: float32 inputs, and what independent float64 arithmetic makes of them (test/golden/generate.py).
class GoldenCase : public GoldenFile {
 public:
  explicit GoldenCase(const std::string& name)
      : GoldenFile(name),
        inputs_(numbers<float>("inputs")),
        output_grads_(numbers<float>("outputGrads")),
        loss_grads_(numbers<float>("lossGrads")) {}

  /// The rows that the batch's own gradient is made of: those of the output gradients themselves where they are the
  /// same.
  [[nodiscard]] MatrixView<const float> loss_grads() const {
    const float* const data = loss_grads_ == output_grads_ ? output_grads_.data() : loss_grads_.data();
    return {data, manifest().batch, shape().out_features};
  }
  /// lossGradsᵀ [inputs 1]/B in float64, as weight-space numbers.
  [[nodiscard]] std::vector<double> own_gradient() const {
    const FisherBlock layer = block();
    std::vector<double> result(layer.size());
    const WeightView<double> view = layer.view(std::span<double>(result));
    const MatrixView<const float> g = loss_grads();
    for (std::size_t row = 0; row < g.rows; ++row) {
      for (std::size_t i = 0; i < layer.rows(); ++i) {
        const double share = static_cast<double>(g(row, i)) / static_cast<double>(g.rows);
        for (std::size_t j = 0; j < view.kernel.cols; ++j)
          view.kernel(i, j) += share * static_cast<double>(layer.input.rows(row, j));
        if (layer.bias()) view.bias[i] += share;
      }
    }
    return result;
  }
  /// max E = λ_max(A)·λ_max(G), by a power iteration on the rows of each side in float64.
  [[nodiscard]] double largest_eigenvalue() const {
    const FisherBlock layer = block();
    return largest_eigenvalue(layer.input) * largest_eigenvalue(layer.output);
  }
  [[nodiscard]] static double largest_eigenvalue(const Side& side) {
    std::vector<double> x = random_numbers<double>(side.dimension(), 1);
    double length = 0;
    for (int iteration = 0; iteration < 200; ++iteration) {
      length = norm(x);
      std::vector<double> image(x.size());
      for (std::size_t row = 0; row < side.count(); ++row) {
        const auto element = [&](std::size_t j) {
          return j < side.rows.cols ? static_cast<double>(side.rows(row, j)) : 1.0;
        };
        double product = 0;
        for (std::size_t j = 0; j < x.size(); ++j) product += element(j) * x[j];
        for (std::size_t j = 0; j < x.size(); ++j) image[j] += side.scale * product * element(j) / length;
      }
      x = std::move(image);
    }
    return norm(x);
  }
  [[nodiscard]] std::vector<double> dampings() const { return manifest().dampings; }
  [[nodiscard]] LayerShape shape() const {
    return {.in_features = manifest().in_features, .out_features = manifest().out_features, .bias = manifest().bias};
  }
  [[nodiscard]] Batch batch() const {
    const LayerShape layer = shape();
    return {.inputs = {inputs_.data(), manifest().batch, layer.in_features},
            .output_grads = {output_grads_.data(), manifest().fisher_rows, layer.out_features}};
  }
  [[nodiscard]] FisherBlock block() const { return fisher_block(shape(), batch()); }

  /// An m × n array of the file, whose last column is the bias, as weight-space numbers: the kernel, then the bias.
  template <typename T>
  [[nodiscard]] std::vector<T> weights(const std::string& name) const {
    const std::vector<T> matrix = numbers<T>(name);
    const LayerShape layer = shape();
    const std::size_t n = layer.in_features + (layer.bias ? 1 : 0);
    std::vector<T> result(matrix.size());
    for (std::size_t i = 0; i < layer.out_features; ++i) {
      for (std::size_t j = 0; j < n; ++j) {
        const std::size_t to =
            j < layer.in_features ? (i * layer.in_features) + j : (layer.out_features * layer.in_features) + i;
        result[to] = matrix[(i * n) + j];
      }
    }
    return result;
  }

 private:
  std::vector<float> inputs_;
  std::vector<float> output_grads_;
  std::vector<float> loss_grads_;
};

inline const std::vector<std::string> golden_cases{
    "one-sample",        "tiny",     "wide-batch", "input-covariance", "output-covariance",
    "fewer-fisher-rows", "low-rank", "odd",        "rank-one-input",   "real-encoder-layer"};

/// Calls check(case, λ, "@index") for every case and each of its dampings.
void for_each_damping(auto&& check) {
  for (const std::string& name : golden_cases) {
    const GoldenCase golden(name);
    const auto dampings = golden.dampings();
    for (std::size_t i = 0; i < dampings.size(); ++i) {
      CAPTURE(name);
      CAPTURE(i);
      check(golden, dampings[i], "@" + std::to_string(i));
    }
  }
}

}  // namespace cgfac::test
