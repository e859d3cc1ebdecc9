#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

#include "core/layer/layer.h"
#include "support/layers.h"
#include "support/reference.h"

namespace cgfac::test {

/// Every history of a factor.
inline constexpr FactorHistory histories[] = {FactorHistory::none, FactorHistory::panel, FactorHistory::dense};

/// The rows of one step of a layer, other ones for each seed: inputs, gradients of sampled targets and of the loss.
struct StepRows {
  RandomLayer batch;  ///< its output gradients are those of sampled targets
  std::vector<float> loss_grads;

  StepRows(const RandomLayer& like, std::uint64_t seed)
      : batch(like), loss_grads(random_numbers<float>(like.input_rows * like.shape.out_features, seed + 2)) {
    batch.inputs = random_numbers<float>(like.inputs.size(), seed);
    batch.output_grads = random_numbers<float>(like.output_grads.size(), seed + 1);
  }

  [[nodiscard]] MatrixView<const float> inputs() const { return batch.batch().inputs; }
  [[nodiscard]] MatrixView<const float> sampled() const { return batch.batch().output_grads; }
  [[nodiscard]] MatrixView<const float> loss() const {
    return {loss_grads.data(), batch.input_rows, batch.shape.out_features};
  }
  /// In place of what was recorded; without sampled targets.
  void record(Layer& layer) const {
    layer.clear();
    layer.record(inputs(), loss(), batch.input_rows, 1);
  }
  void record_sampled(Layer& layer) const {
    record(layer);
    layer.record_fisher(sampled(), 1);
  }
  /// The batch's own gradient, g_vᵀ [a 1]/B in float64.
  [[nodiscard]] std::vector<double> gradient() const {
    Gradient own;
    own.loss_grads = loss();
    own.scale = 1 / static_cast<double>(batch.input_rows);
    return dense_gradient(batch.block(), own);
  }
};

/// An average of factors in float64 by its definition: factor i of k weighs δ^(k − i), over the sum of the weights.
struct DenseAverage {
  double decay;
  double weights = 0;
  DenseMatrix sum{.rows = 0, .cols = 0};

  void add(const DenseMatrix& fresh) {
    if (weights == 0) sum = {.rows = fresh.rows, .cols = fresh.cols};
    weights = (decay * weights) + 1;
    for (std::size_t i = 0; i < fresh.numbers.size(); ++i) sum.numbers[i] = (decay * sum.numbers[i]) + fresh.numbers[i];
  }
  [[nodiscard]] DenseMatrix mean() const {
    DenseMatrix result = sum;
    for (double& element : result.numbers) element /= weights;
    return result;
  }
};

inline double mean_eigenvalue(const DenseMatrix& factor) {
  return trace_of(factor) / static_cast<double>(factor.rows);
}

/// factor + γI
inline DenseMatrix damped(DenseMatrix factor, double gamma) {
  for (std::size_t i = 0; i < factor.rows; ++i) factor(i, i) += gamma;
  return factor;
}

/// Both factors of a layer.
struct DenseFactors {
  DenseMatrix a;
  DenseMatrix g;

  /// (G + γ_G I) x (A + γ_A I)
  [[nodiscard]] std::vector<double> multiply(const FisherBlock& block, const FactoredDamping& gamma,
                                             const std::vector<double>& x) const {
    return weight_numbers(
        block, damped(g, gamma.output) * dense_weights(block, std::span<const double>(x)) * damped(a, gamma.input));
  }
};

inline std::vector<double> widened(const std::vector<float>& x) {
  return {x.begin(), x.end()};
}

/// Whether two states are the same, bit for bit.
inline bool same_bits(const FactorState& x, const FactorState& y) {
  const auto trace = [](double number) { return std::bit_cast<std::uint64_t>(number); };
  return x.rows == y.rows && x.squares == y.squares && x.average == y.average && x.scale == y.scale &&
         trace(x.trace) == trace(y.trace) && x.refreshes == y.refreshes && x.dimension == y.dimension && x.own == y.own;
}
inline bool same_bits(const LayerState& x, const LayerState& y) {
  return same_bits(x.input, y.input) && same_bits(x.output, y.output) &&
         x.eigen.input_vectors == y.eigen.input_vectors && x.eigen.output_vectors == y.eigen.output_vectors &&
         x.eigen.input_values == y.eigen.input_values && x.eigen.output_values == y.eigen.output_values &&
         x.batches == y.batches && x.previous == y.previous;
}

/// x as `prepare` left it.
inline std::vector<float> written(const Layer& layer) {
  std::vector<float> x(layer.shape().size());
  layer.write({.kept = shape_block(layer.shape()).view(std::span(x))});
  return x;
}

/// The direction of the recorded rows' own gradient.
inline std::vector<float> direction(Layer& layer) {
  (void)layer.prepare(std::nullopt, {});
  return written(layer);
}

}  // namespace cgfac::test
