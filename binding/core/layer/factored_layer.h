#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "core/factor/damped_factor.h"
#include "core/layer/layer_preconditioner.h"

namespace cgfac {

struct FactoredLayerOptions {
  FactorOptions factor;
};

/// What a step of a layer gives before its length is known.
struct FactoredStep {
  double vx = 0;            ///< ⟨v, x⟩
  double xfx = 0;           ///< xᵀ(A ⊗ G)x, where it was asked for
  double bound = 0;         ///< ≥ ‖x‖
  bool formed = false;      ///< whether v was formed: cheaper than the products of rows where these outnumber a side
  FactoredDamping gamma{};  ///< γ_A and γ_G, with what panels cut off; zero where there was nothing to precondition
};

/// A layer under factored damping whose factors outlive a batch: x = (G + γ_G I)⁻¹ v (A + γ_A I)⁻¹.
///
/// A step goes: `record` the rows of one or more batches, `record_fisher` output gradients of sampled targets,
/// `refresh` the factors with them (or not, and use those of an earlier step), `prepare`, and once all layers' ⟨v, x⟩
/// are known `write` x with the step's length. The batch's own gradient v = g_vᵀ [a 1]/B is formed only where that is
/// cheaper: x = Z_gᵀ Z_a/B with Z_a = [a 1] (A + γ_A I)⁻¹ and Z_g = g_v (G + γ_G I)⁻¹, and ⟨v, x⟩ = ⟨[a 1] Z_aᵀ, g_v
/// Z_gᵀ⟩/B². Not safe for concurrent calls.
class FactoredLayer {
 public:
  FactoredLayer(const LayerShape& shape, const FactoredLayerOptions& options);

  [[nodiscard]] const LayerShape& shape() const { return shape_; }

  /// Copies a batch's rows, behind those recorded since `clear`. `samples` are those that the rows come from, 0 where
  /// they were counted before (another use of the same weights): A sums over a sample's rows. `factor` makes the
  /// gradients those of a sample's own loss.
  void record(MatrixView<const float> inputs, MatrixView<const float> loss_grads, std::size_t samples, double factor);
  /// The same for the gradients that the output factor is made of; without them they are the loss gradients (the
  /// empirical Fisher).
  void record_fisher(MatrixView<const float> output_grads, double factor);
  [[nodiscard]] bool recorded() const { return input_rows_ > 0; }
  [[nodiscard]] std::size_t input_rows() const { return input_rows_; }
  [[nodiscard]] std::size_t fisher_rows() const { return fisher_rows_ > 0 ? fisher_rows_ : input_rows_; }
  /// Throws Error(not_finite) that names the array where what was recorded holds NaN or infinity; changes nothing.
  void require_finite() const;

  /// The factors take in what was recorded.
  void refresh();
  /// The factors are as before the `refresh` since `settle`, if there was one: of a step that is not taken after all.
  void roll_back();
  void settle();
  /// Whether there are factors to precondition with.
  [[nodiscard]] bool refreshed() const { return input_.started() && output_.started(); }

  /// Everything of x but its length; `curvature`: with xᵀFx.
  FactoredStep prepare(const Damping& damping, bool curvature);
  /// out ← keep · out + factor · x. Throws Error(not_finite), with `out` untouched, where x leaves the range of
  /// float32.
  void write(const Destination& destination) const;

  /// v ← x for a gradient that is given.
  FactoredStep precondition(const Damping& damping, const WeightView<float>& v, bool curvature);

  /// Forgets what was recorded.
  void clear();
  /// Forgets the factors as well.
  void reset();

  [[nodiscard]] const DampedFactor& input() const { return input_; }
  [[nodiscard]] const DampedFactor& output() const { return output_; }
  void restore(const FactorState& input, const FactorState& output);
  /// The estimated work of a step, for an order of layers: largest first.
  [[nodiscard]] double estimated_cost() const;

  struct Memory {
    std::size_t recorded = 0;   ///< the rows of this step
    std::size_t factors = 0;    ///< what outlives it, and its inverses
    std::size_t workspace = 0;  ///< the rows' preconditioned form, and products of rows
  };
  [[nodiscard]] Memory memory() const;

 private:
  [[nodiscard]] FisherBlock block() const;
  // Damps both factors; false where one of them is zero, or too near to it for float32, so that there is nothing to
  // precondition.
  bool damp(const Damping& damping);
  FactoredStep prepare_rows(bool curvature);
  // x ← x with both inverses; v is x's former value
  FactoredStep apply_both(const WeightView<const float>& v, const WeightView<float>& x, bool curvature);
  [[nodiscard]] bool forms_gradient() const;

  LayerShape shape_;
  DampedFactor input_;
  DampedFactor output_;
  std::vector<float> inputs_;
  std::vector<float> loss_grads_;
  std::vector<float> fisher_grads_;
  std::size_t input_rows_ = 0;
  std::size_t fisher_rows_ = 0;
  std::size_t samples_ = 0;
  bool fresh_ = false;   // the factors' last rows are those recorded
  bool zero_ = false;    // of the step prepared
  bool formed_ = false;  // x_ holds it, else both of z_
  double bound_ = 0;     // ≥ ‖x‖
  Buffer<float> z_input_;
  Buffer<float> z_output_;
  Buffer<float> grams_;
  Buffer<float> x_;
  Buffer<float> v_;
  Buffer<float> scratch_;
};

}  // namespace cgfac
