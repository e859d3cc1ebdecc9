#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "core/base/buffer.h"
#include "core/block/damping.h"
#include "core/block/fisher_block.h"
#include "core/block/solution.h"
#include "core/solver/woodbury.h"

namespace cgfac {

struct DirectKfacOptions {
  int factor_update_steps = 1;   ///< batches between two that enter the factors
  int inverse_update_steps = 1;  ///< batches between two eigendecompositions
  double factor_decay = 0.95;    ///< of the running average, once there is one: decay·old + (1 − decay)·new
};

/// What direct K-FAC needs to go on with; everything empty before the first batch.
struct DirectKfacState {
  long steps = 0;
  BlockTraces traces{};
  std::vector<float> input_factor;  ///< n × n
  std::vector<float> output_factor;
  std::vector<float> input_vectors;
  std::vector<float> output_vectors;
  std::vector<float> input_values;
  std::vector<float> output_values;
};

/// Direct K-FAC: forms A (n × n) and G (m × m), keeps their running averages, decomposes them, and preconditions
/// through the eigenvectors. O(n³ + m³) time at each decomposition and O(n² + m²) memory, in float32: the method that
/// everything else here is compared with, and the right one where N ≫ n, m.
///
/// Source: J. Martens and R. Grosse, "Optimizing Neural Networks with Kronecker-factored Approximate Curvature", 2015;
/// in the form of Y. Chen, "An iterative K-FAC algorithm for Deep Learning", arXiv 2101.00218, 2021, Algorithm 1.
class DirectKfac {
 public:
  explicit DirectKfac(const DirectKfacOptions& options) : options_(options) {}

  /// Takes in a batch: one step. Decomposes where one is due.
  void update(const FisherBlock& block);

  /// Damping and its form; for the factored form γ's are added to each factor's eigenvalues, else λ to their products.
  struct Inverse {
    double damping = 0;  ///< λ, where not factored
    const FactoredDamping* factored = nullptr;
  };
  /// tr A and tr G of the averages, which relative damping refers to.
  [[nodiscard]] const BlockTraces& traces() const { return traces_; }
  /// The same once a batch with these has entered, as far as the next one enters.
  [[nodiscard]] BlockTraces traces_with(const BlockTraces& batch) const;
  /// Eigenvalues of the averages as last decomposed, ascending.
  [[nodiscard]] std::span<const float> input_values(std::size_t n) const { return input_values_.held(n); }
  [[nodiscard]] std::span<const float> output_values(std::size_t m) const { return output_values_.held(m); }
  /// x = (F + λI)⁻¹ v with the averaged factors. Throws Error(not_finite), with the destination untouched, beyond
  /// float32.
  SolutionProducts precondition(const FisherBlock& block, const Inverse& inverse, const WeightView<const float>& v,
                                const Destination& destination);

  /// n includes the homogeneous coordinate.
  [[nodiscard]] DirectKfacState state(std::size_t m, std::size_t n) const;
  /// Throws Error(shape_mismatch) for the state of another shape, Error(not_finite) for numbers that are not; nothing
  /// is changed then.
  void restore(const DirectKfacState& state, std::size_t m, std::size_t n);
  void reset();
  [[nodiscard]] std::size_t bytes() const;

 private:
  DirectKfacOptions options_;
  long steps_ = 0;
  BlockTraces traces_{};
  Buffer<float> input_factor_;   // A
  Buffer<float> output_factor_;  // G
  Buffer<float> input_vectors_;  // rows: eigenvectors of A
  Buffer<float> output_vectors_;
  Buffer<float> input_values_;
  Buffer<float> output_values_;
  Buffer<float> work_;  // of a decomposition, then two vectors of weight space
};

}  // namespace cgfac
