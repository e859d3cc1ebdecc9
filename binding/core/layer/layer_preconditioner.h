#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "core/solver/cg_fac.h"
#include "core/solver/eigen.h"
#include "core/solver/spectral.h"
#include "core/solver/woodbury.h"

namespace cgfac {

/// What the caller's output gradients are gradients of.
enum class LossReduction {
  sum,   ///< the loss summed over the batch: each row is the gradient of its own sample's loss
  mean,  ///< the mean over the batch: each row carries 1/B and is multiplied by B
};

/// A solve's start: the paper proposes the previous batch's solution.
enum class WarmStart { none, previous, scaled };

/// How directions are solved for.
enum class Method {
  automatic,  ///< cg or exact, by the estimates of cost.h
  cg,         ///< conjugate gradients: CG-FAC
  exact,      ///< spectra, Woodbury or the per-sample Cholesky, by the damping and the block
  kfac,       ///< direct K-FAC with averaged factors
};

/// λI added to A ⊗ G, or γ's added to A and G.
enum class DampingMode { tikhonov, factored };

/// The curvature of the layer: A ⊗ G, or the sum over samples.
enum class Block { kronecker, sample };

/// The rows of a batch as the caller has them.
struct Batch {
  MatrixView<const float> inputs;        // batch × inFeatures
  MatrixView<const float> output_grads;  // fisherRows × outFeatures
};

struct LayerShape {
  std::size_t in_features = 0;
  std::size_t out_features = 0;
  bool bias = false;
  LossReduction loss_reduction = LossReduction::sum;
  KernelLayout layout = KernelLayout::out_in;
};

/// The Fisher block of a batch: A = [a 1]ᵀ[a 1]/B and G = gᵀg/N_g, with g multiplied by B for the reduction 'mean'.
[[nodiscard]] FisherBlock fisher_block(const LayerShape& shape, const Batch& batch);

/// Whether a batch with fewer rows than the one before is filled up with that one's own rows; the output side by the
/// same factor, as far as there are rows.
enum class ShortBatch { as_it_is, filled_up };

/// Rows of a batch's two sides.
struct RowCounts {
  std::size_t input = 0;
  std::size_t output = 0;
};

/// A batch of its own: a copy of the rows, checked to be finite.
class RecordedBatch {
 public:
  /// `before`: what a short batch is filled up from.
  RecordedBatch(const LayerShape& shape, const Batch& batch, const RecordedBatch* before = nullptr);
  /// Of which only `own` rows, the first ones, did not fill it up.
  RecordedBatch(const LayerShape& shape, const Batch& batch, const RowCounts& own);
  [[nodiscard]] const FisherBlock& block() const { return block_; }
  [[nodiscard]] const BlockTraces& traces() const { return traces_; }
  /// Its rows without those that filled it up.
  [[nodiscard]] const RowCounts& own() const { return own_; }
  [[nodiscard]] std::size_t bytes() const { return (inputs_.size() + output_grads_.size()) * sizeof(float); }

 private:
  RowCounts own_;
  std::vector<float> inputs_;
  std::vector<float> output_grads_;
  FisherBlock block_;
  BlockTraces traces_;
};

struct LayerOptions {
  Damping damping;
  DampingMode damping_mode = DampingMode::tikhonov;
  Block block = Block::kronecker;
  Method method = Method::cg;
  CgFacOptions cg_fac{};  // start_scaling follows from warm_start
  WarmStart warm_start = WarmStart::previous;
  DirectKfacOptions kfac{};
};

struct LayerSummary {
  Method method = Method::cg;  ///< what was used: never automatic
  SolutionProducts products{};
  std::optional<CgFacSummary> cg_fac;       ///< of method cg
  std::optional<ExactSummary> exact;        ///< of the spectral solution
  std::optional<FactoredDamping> factored;  ///< of factored damping
  double damping = 0;                       ///< λ, where it is one number
  BlockForms forms{};
};

/// Of both factors, those of direct K-FAC its averages.
struct FactorSpectra {
  BlockTraces traces{};
  double input_largest = 0;  ///< the largest eigenvalue, from below
  double output_largest = 0;
  double input_effective_rank = SolutionProducts::unknown;  ///< Σ s/(s + γ), of direct K-FAC with factored damping
  double output_effective_rank = SolutionProducts::unknown;
  double effective_rank = SolutionProducts::unknown;  ///< Σ E/(E + λ), of direct K-FAC with Tikhonov damping
};

/// What a layer keeps between steps, in bytes.
struct LayerMemory {
  std::size_t batch = 0;      ///< the recorded rows
  std::size_t workspace = 0;  ///< of the solvers
  std::size_t previous = 0;   ///< the warm start
  std::size_t factors = 0;    ///< of direct K-FAC: averages, eigenvectors and scratch
};

/// What a layer needs to go on with: `restore` makes the same layer of it, bit for bit.
struct LayerState {
  std::size_t input_rows = 0;  ///< of the recorded batch; 0 where there is none
  std::size_t output_rows = 0;
  RowCounts own{};  ///< of these, those that did not fill it up
  std::vector<float> inputs;
  std::vector<float> output_grads;
  std::vector<float> previous;  ///< the warm start; empty where there is none
  bool averaged = false;        ///< whether the batch has entered the averages
  DirectKfacState kfac{};
};

/// Keeps for one layer what outlives a step: the recorded batch, the workspace, and the previous solution.
///
/// Not safe for concurrent calls. A batch handed out by `batch()` stays valid, and unchanged, when another is recorded.
class LayerPreconditioner {
 public:
  LayerPreconditioner(const LayerShape& shape, const LayerOptions& options)
      : shape_(shape), options_(options), kfac_(options.kfac) {}

  [[nodiscard]] const LayerShape& shape() const { return shape_; }
  [[nodiscard]] const LayerOptions& options() const { return options_; }

  /// Of the solves to come.
  void set_damping(const Damping& damping) { options_.damping = damping; }

  /// Copies the rows of a batch. Throws Error(not_finite) for NaN or infinity; the batch recorded before is then kept.
  void record(const Batch& batch, ShortBatch short_batch = ShortBatch::as_it_is);
  /// The batch before the last `record` is the recorded one again: of a step that is not taken after all. Nothing after
  /// `settle`, or where direct K-FAC's averages have taken it in.
  void roll_back();
  /// What was recorded stays.
  void settle();
  /// The recorded batch. Throws Error(no_record) where there is none.
  [[nodiscard]] std::shared_ptr<const RecordedBatch> batch() const;

  /// out ← the damped inverse times v for a recorded batch. With method cg: from the start that the warm start gives;
  /// the solution becomes the next one's start, unless the solve broke down or the operator was indefinite: then the
  /// next one starts from 0. With method kfac a batch enters the averages when it is first seen here.
  LayerSummary precondition(const std::shared_ptr<const RecordedBatch>& batch, const WeightView<const float>& v,
                            const WeightView<float>& out, const CancelFlag* cancel, Spectrum* spectrum);

  /// The same for the batch's own gradient, scale · lossGradsᵀ [a 1] with scale 1/B, or 1 for the reduction 'mean'; it
  /// is never formed where both sides have panels. The rows are borrowed. No warm start is used or left.
  LayerSummary natural_gradient(const Batch& batch, MatrixView<const float> loss_grads, const Destination& destination,
                                const CancelFlag* cancel, Spectrum* spectrum);

  /// Whether the recorded batch makes the damping a number in the range of float32: relative damping of a factor that
  /// is zero, or next to it, is none, and nothing can be solved for.
  [[nodiscard]] bool has_damping() const;
  /// Of the recorded batch; not before the first solve of direct K-FAC.
  [[nodiscard]] FactorSpectra factor_spectra() const;
  /// The next solve starts from 0.
  void forget_previous() { has_previous_ = false; }

  [[nodiscard]] LayerState state() const;
  /// Throws Error(shape_mismatch) for the state of another layer, Error(not_finite) for numbers that are not; nothing
  /// is changed then.
  void restore(const LayerState& state);
  /// Forgets the batch, the previous solution and the averages.
  void reset();

  [[nodiscard]] LayerMemory memory() const;

  /// The estimated work of a solve, for an order of layers: largest first.
  [[nodiscard]] double estimated_cost(const FisherBlock& block) const;

 private:
  [[nodiscard]] Method choose(const FisherBlock& block) const;
  LayerSummary solve(const FisherBlock& block, const BlockTraces& traces, const Gradient& gradient,
                     const std::optional<WeightView<const float>>& x0, const Destination& destination,
                     const CancelFlag* cancel, Spectrum* spectrum);

  LayerShape shape_;
  LayerOptions options_;
  std::shared_ptr<const RecordedBatch> batch_;
  std::shared_ptr<const RecordedBatch> before_;  // the last `record`
  bool can_roll_back_ = false;                   // whether `before_`, or none, may be the recorded one again
  CgFacWorkspace workspace_;
  DirectKfac kfac_;
  std::weak_ptr<const RecordedBatch> averaged_;  // the last batch that entered the averages
  Buffer<float> previous_;
  bool has_previous_ = false;
};

}  // namespace cgfac
