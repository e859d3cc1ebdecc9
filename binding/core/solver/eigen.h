#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "core/base/buffer.h"
#include "core/block/fisher_block.h"
#include "core/block/solution.h"
#include "core/factor/damping.h"

namespace cgfac {

/// What `EigenBases` needs to go on with; everything empty before the first decomposition.
struct EigenState {
  std::vector<float> input_vectors{};  ///< n × n
  std::vector<float> output_vectors{};
  std::vector<float> input_values{};
  std::vector<float> output_values{};
};

/// Damping and its form: γ's are added to each factor's eigenvalues, or λ to their products.
struct EigenDamping {
  double lambda = 0;                          ///< λ, where not factored
  std::optional<FactoredDamping> factored{};  ///< γ_A and γ_G
};

/// Direct K-FAC: the eigendecompositions A = Q_aᵀ Λ_a Q_a and G = Q_gᵀ Λ_g Q_g of factors that are given as matrices,
/// and x = (F + λI)⁻¹ v through them. O(n³ + m³) time at each decomposition and O(n² + m²) memory, in float32: the
/// method that everything else here is compared with, and the right one where N ≫ n, m.
///
/// Source: J. Martens and R. Grosse, "Optimizing Neural Networks with Kronecker-factored Approximate Curvature", 2015;
/// in the form of Y. Chen, "An iterative K-FAC algorithm for Deep Learning", arXiv 2101.00218, 2021, Algorithm 1.
class EigenBases {
 public:
  /// Decomposes both factors, side by side on two threads. The former bases are kept until `settle`.
  void decompose(MatrixView<const float> input, MatrixView<const float> output);
  /// Takes back the last `decompose` since `settle`, if there was one.
  void roll_back();
  void settle() { can_roll_back_ = false; }
  [[nodiscard]] bool decomposed() const { return now_.n > 0; }

  /// Eigenvalues, ascending, those below 0 by rounding taken as 0.
  [[nodiscard]] std::span<const float> input_values() const { return now_.input_values.held(now_.n); }
  [[nodiscard]] std::span<const float> output_values() const { return now_.output_values.held(now_.m); }

  /// out ← keep·out + factor·x, x = Q_gᵀ [(Q_g v Q_aᵀ)/(Λ_g Λ_aᵀ + λ)] Q_a. Throws Error(not_finite), with the
  /// destination untouched, where v is not finite or x beyond float32.
  SolutionProducts precondition(const FisherBlock& block, const EigenDamping& damping, const WeightView<const float>& v,
                                const Destination& destination);

  /// What the bases need to go on with; a copy.
  [[nodiscard]] EigenState state() const;
  /// Throws Error(shape_mismatch) for the state of another shape, Error(not_finite) for numbers that are not; nothing
  /// is changed then. `begun`: whether there is anything to restore.
  void restore(const EigenState& state, std::size_t m, std::size_t n, bool begun);
  void reset();
  [[nodiscard]] std::size_t bytes() const;

 private:
  struct Bases {
    std::size_t m = 0;
    std::size_t n = 0;
    Buffer<float> input_vectors;  // rows: eigenvectors of A
    Buffer<float> output_vectors;
    Buffer<float> input_values;
    Buffer<float> output_values;
  };
  // x ← unit·x/(Λ_g Λ_aᵀ + λ), and the inner products without the unit
  SolutionProducts divide(MatrixView<float> x, const EigenDamping& damping, double unit) const;

  Bases now_;
  Bases other_;  // before the last decomposition
  bool can_roll_back_ = false;
  Buffer<float> work_;  // of a decomposition, then two vectors of weight space
};

}  // namespace cgfac
