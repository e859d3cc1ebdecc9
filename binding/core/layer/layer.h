#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "core/block/gradient.h"
#include "core/block/solution.h"
#include "core/factor/damped_inverse.h"
#include "core/factor/factor.h"
#include "core/layer/layer_options.h"
#include "core/layer/layer_state.h"
#include "core/layer/layer_summary.h"
#include "core/layer/recorded_rows.h"
#include "core/layer/side_share.h"
#include "core/layer/update.h"
#include "core/solver/cg_fac.h"
#include "core/solver/eigen.h"
#include "core/solver/spectral.h"

namespace cgfac {

/// One layer: two factors, each with a history, and a solver; it keeps what outlives a step.
///
/// A step of a network goes through its phases: `record` the rows of one or more batches and `record_fisher` those of
/// sampled targets; `refresh` the factors with them, or not, and use those of an earlier step; `prepare` the direction
/// x of the rows' own gradient or of a given one; once all layers' ⟨v, x⟩ are known, `write` it with the step's length.
/// `settle` keeps what the step left, `roll_back` takes it back, as if there had been no step.
///
/// A single layer goes in one: `record_batch`, then `precondition` for a given gradient, or `natural_gradient` for a
/// batch that is borrowed; both write x at once, and settle.
///
/// Not safe for concurrent calls. A batch handed out by `batch()` stays valid, and unchanged, when another is recorded.
class Layer {
 public:
  Layer(const LayerShape& shape, const LayerOptions& options);

  [[nodiscard]] const LayerShape& shape() const { return shape_; }
  [[nodiscard]] const LayerOptions& options() const { return options_; }
  /// The windows of a convolution whose data has another size from now on. Throws Error(shape_mismatch) where rows of
  /// another size are recorded.
  void set_patches(const PatchShape& patches);
  /// Of the solves to come.
  void set_damping(const Damping& damping) { options_.damping = damping; }

  // --- The phases of a step

  /// Copies a batch's rows, behind those recorded since `clear`; see RecordedRows::append.
  void record(MatrixView<const float> inputs, MatrixView<const float> loss_grads, std::size_t samples, double factor,
              SampleRange range = {});
  /// Copies gradients that the output factor is made of; without them it is made of the loss gradients.
  void record_fisher(MatrixView<const float> output_grads, double factor, bool for_factors = true,
                     std::size_t samples = 0);
  /// Throws Error(not_finite) that names the array where what was recorded holds NaN or infinity; changes nothing.
  void require_finite();
  /// The factors take in what was recorded.
  void refresh();
  /// Whether there are factors to precondition with.
  [[nodiscard]] bool started() const { return input_.started() && output_.started(); }
  /// The direction, ready to be written, for the gradient that is given or else that of the recorded rows. A warm start
  /// of conjugate gradients that leads uphill is begun again at zero.
  LayerStep prepare(const std::optional<WeightView<const float>>& v, const PrepareOptions& options);
  /// What `prepare` left ready goes into momentum, weights, gradients and averages. Throws Error(not_finite), with
  /// everything untouched, where x leaves the range of float32. Returns what M was multiplied by to stay within its
  /// bound.
  double write(const LayerUpdate& update) const;
  /// ⟨v, M⟩ of a gradient, or of the recorded rows' own, with a vector of weight space; of rows it is estimated from
  /// those of half of the samples, where there are 64 or more.
  [[nodiscard]] double inner_product(const std::optional<WeightView<const float>>& v,
                                     const WeightView<const float>& m) const;
  /// What the prepared direction does to the sampled outputs, u_b = Σ_positions g_bᵀ X [a_b 1] of each sample b; empty
  /// where the gradients do not belong to the rows.
  [[nodiscard]] SampledProducts sampled_products() const;
  /// ‖x‖ of the prepared direction.
  [[nodiscard]] double direction_norm() const;
  /// Nothing is left to take back; the prepared solution is the next warm start.
  void settle();
  /// Factors, decompositions and warm start are as before the step: it is not taken.
  void roll_back();
  /// Forgets what was recorded.
  void clear();

  // --- A layer whose batch several ranks have

  /// All that was recorded, where it lies.
  [[nodiscard]] RecordedShare recorded_share() const { return rows_->share(); }
  /// Copies what another rank recorded behind what is there.
  void record(const RecordedShare& share);
  /// What there is to share.
  [[nodiscard]] ShareCounts share_counts() const;
  /// v ← the gradient of the rows that were recorded here.
  void form_gradient(const WeightView<float>& v) const { rows_->form_gradient(v); }
  /// What the recorded rows give to a factor that is made of those of all ranks.
  [[nodiscard]] SideShare side_share(LayerSide side, ShareForm form, const DrawRange& range);
  /// The next refresh takes in these in the place of what was recorded: those of all ranks, in their order. Throws
  /// Error(shape_mismatch) for what does not fit the factors.
  void take_shares(std::span<const SideShare> input, std::span<const SideShare> output);
  /// The prepared direction, as another rank takes it over.
  [[nodiscard]] PreparedDirection direction() const;
  /// The direction that was prepared elsewhere. Throws Error(shape_mismatch) for that of another layer.
  void take_direction(const PreparedDirection& direction);

  // --- A single layer

  /// Copies the rows of a batch in place of those recorded before. Throws Error(not_finite) for NaN or infinity; the
  /// batch recorded before is then kept.
  void record_batch(const Batch& batch);
  /// The recorded batch. Throws Error(no_record) where there is none.
  [[nodiscard]] std::shared_ptr<const RecordedRows> batch() const;
  /// out ← the damped inverse times v for a recorded batch, which enters the factors when it is first seen here. With
  /// method cg: from the start that the warm start gives; the solution becomes the next one's start, unless the solve
  /// broke down or the operator was indefinite: then the next one starts from 0.
  LayerSummary precondition(const std::shared_ptr<const RecordedRows>& batch, const WeightView<const float>& v,
                            const WeightView<float>& out, const CancelFlag* cancel, Spectrum* spectrum);
  /// out ← keep·out + factor·x for the batch's own gradient, scale · lossGradsᵀ [a 1] with scale 1/B, or 1 for the
  /// reduction 'mean'; it is never formed where both sides have panels. The rows are borrowed; averages take them in.
  /// No warm start is used or left.
  LayerSummary natural_gradient(const Batch& batch, MatrixView<const float> loss_grads, const Destination& destination,
                                const CancelFlag* cancel, Spectrum* spectrum);

  // --- What is kept

  /// What the layer needs to go on with; a copy.
  [[nodiscard]] LayerState state() const;
  /// Takes over a state; recorded rows are forgotten. Throws Error(shape_mismatch) for the state of another layer,
  /// Error(not_finite) for numbers that are not, Error(invalid_value) for those that no layer has; nothing is changed
  /// then.
  void restore(const LayerState& state);
  /// Forgets the rows, the factors and the warm start.
  void reset();
  [[nodiscard]] LayerMemory memory() const;
  /// The estimated work of a solve, for an order of layers: largest first.
  [[nodiscard]] double estimated_cost() const;

 private:
  struct Problem;
  [[nodiscard]] bool averages() const { return options_.factor.history != FactorHistory::none; }
  [[nodiscard]] bool factored() const { return options_.damping_mode == DampingMode::factored; }
  [[nodiscard]] bool own_inverses() const;
  [[nodiscard]] Method choose(const FisherBlock& block) const;
  [[nodiscard]] FisherBlock block() const;
  [[nodiscard]] std::optional<WeightView<const float>> previous() const;

  // The recorded rows, to append to.
  RecordedRows& own_rows();
  // The factors take in what is fresh.
  void take_in(Factor::Fresh input, Factor::Fresh output);
  // A batch: averages take it in every so many times. Where that ends in an exception, the factors are as before.
  void advance(Factor::Fresh input, Factor::Fresh output);
  // That of a block's rows, kept by an owner where there is one.
  void advance(const FisherBlock& rows, const BlockTraces& traces, const std::shared_ptr<const void>& owner);
  void enter(const std::shared_ptr<const RecordedRows>& batch);
  void settle_factors();
  void roll_back_factors();
  void decompose();
  void changed();
  void reset_step();

  using Given = std::optional<WeightView<const float>>;
  LayerSummary solve(const Problem& problem);
  void solve_scaled(const Problem& problem, LayerSummary& summary);
  void solve_rows(const Problem& problem, LayerSummary& summary);
  LayerSummary solve_with_factors(const Gradient& gradient, const Given& x0, const Destination& destination,
                                  const CancelFlag* cancel, Spectrum* spectrum);
  LayerSummary solve_advanced(const FisherBlock& rows, const BlockTraces& traces, const Gradient& gradient,
                              const Destination& destination, const CancelFlag* cancel, Spectrum* spectrum);
  void solve_eigen(const Problem& problem, LayerSummary& summary);
  void solve_averaged(const Problem& problem, const FactoredDamping& gamma, LayerSummary& summary);
  void solve_spectral(const Problem& problem, LayerSummary& summary);
  void solve_cg(const Problem& problem, LayerSummary& summary);

  // Makes both inverses, and x ← (G + γ_G I)⁻¹ x (A + γ_A I)⁻¹ with them.
  void damp(const FactoredDamping& gamma);
  void apply_inverses(const WeightView<float>& x);
  // out ← keep·out + factor·x for x = (G + γ_G I)⁻¹ v (A + γ_A I)⁻¹, made in `memory` of v times a power of two, by
  // which no number on the way leaves the range of float32. Returns ⟨v, x⟩.
  double apply_scaled(const WeightView<const float>& v, double v_norm2, const FactoredDamping& gamma,
                      const WeightView<float>& memory, const Destination& destination);
  void prepare_factored(const Given& v, LayerStep& step);
  bool prepare_rows(const FactoredDamping& gamma, LayerStep& step);
  void multiply_inputs(MatrixView<float> z, MatrixView<float> gram);
  void multiply_outputs(MatrixView<float> z, MatrixView<float> gram);
  void prepare_formed(const Given& v, const FactoredDamping& gamma, LayerStep& step);
  void products_by_rows(MatrixView<const float> inputs, MatrixView<const float> output_grads,
                        std::span<double> products) const;
  void prepare_solved(const Given& v, const PrepareOptions& options, LayerStep& step);
  LayerSummary solve_once(const Given& v, const Given& x0, const PrepareOptions& options);
  double own_inner_product();
  [[nodiscard]] bool forms_gradient() const;
  [[nodiscard]] bool curved() const;
  void describe(LayerStep& step) const;
  void write_once(const LayerUpdate& update) const;
  void write_rows(const LayerUpdate& update) const;

  LayerShape shape_;
  LayerOptions options_;
  std::shared_ptr<RecordedRows> rows_;                // of the step under way, or the recorded batch
  std::vector<std::shared_ptr<RecordedRows>> spare_;  // memory of earlier steps
  std::shared_ptr<const UnitedSides> united_;         // what the next refresh takes in, of all ranks
  std::weak_ptr<const RecordedRows> entered_;         // the last batch that the factors took in
  bool fresh_ = false;                                // whether the factors' last rows are those recorded
  bool refreshed_ = false;                            // since `settle`
  std::int64_t batches_ = 0;                          // that have entered the factors
  Factor input_;
  Factor output_;
  DampedInverse input_inverse_;
  DampedInverse output_inverse_;
  EigenBases eigen_;
  CgFacWorkspace workspace_;
  Buffer<float> previous_;  // the warm start
  bool has_previous_ = false;

  // The direction that `prepare` left
  enum class Direction { none, zero, rows, formed };
  Direction direction_ = Direction::none;
  double bound_ = 0;  // ≥ ‖x‖
  // of a direction by rows: x = scale · Z_gᵀ Z_a, of so many rows
  std::size_t direction_rows_ = 0;
  double direction_scale_ = 0;
  // What `settle` makes of it: the warm start; or, of a solve that ended badly, none
  enum class Solution { none, kept, broken };
  Solution solution_ = Solution::none;
  Buffer<float> x_;
  Buffer<float> v_;
  Buffer<float> z_input_;
  Buffer<float> z_output_;
  Buffer<float> grams_;
};

}  // namespace cgfac
