#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "core/cg_fac.h"

namespace cgfac {

/// What the caller's output gradients are gradients of.
enum class LossReduction {
  sum,   ///< the loss summed over the batch: each row is the gradient of its own sample's loss
  mean,  ///< the mean over the batch: each row carries 1/B and is multiplied by B
};

/// A solve's start: the paper proposes the previous batch's solution.
enum class WarmStart { none, previous, scaled };

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

/// A batch of its own: a copy of the rows, checked to be finite.
class RecordedBatch {
 public:
  RecordedBatch(const LayerShape& shape, const Batch& batch);
  [[nodiscard]] const FisherBlock& block() const { return block_; }
  [[nodiscard]] std::size_t bytes() const { return (inputs_.size() + output_grads_.size()) * sizeof(float); }

 private:
  std::vector<float> inputs_;
  std::vector<float> output_grads_;
  FisherBlock block_;
};

struct LayerOptions {
  Damping damping;
  CgFacOptions cg_fac{};  // start_scaling follows from warm_start
  WarmStart warm_start = WarmStart::previous;
};

/// Keeps for one layer what outlives a step: the recorded batch, the workspace, and the previous solution.
///
/// Not safe for concurrent calls. A batch handed out by `batch()` stays valid, and unchanged, when another is recorded.
class LayerPreconditioner {
 public:
  LayerPreconditioner(const LayerShape& shape, const LayerOptions& options) : shape_(shape), options_(options) {}

  [[nodiscard]] const LayerShape& shape() const { return shape_; }

  /// Copies the rows of a batch. Throws Error(not_finite) for NaN or infinity; the batch recorded before is then kept.
  void record(const Batch& batch);
  /// The recorded batch. Throws Error(no_record) where there is none.
  [[nodiscard]] std::shared_ptr<const RecordedBatch> batch() const;

  /// out ← (F + λI)⁻¹ v for a recorded batch: `cg_fac` from the start that the warm start gives. The solution becomes
  /// the next one's start, unless the solve broke down or the operator was indefinite: then the next one starts from 0.
  CgFacSummary precondition(const RecordedBatch& batch, const WeightView<const float>& v, const WeightView<float>& out,
                            const CancelFlag* cancel);

  /// Forgets the batch and the previous solution.
  void reset();

 private:
  LayerShape shape_;
  LayerOptions options_;
  std::shared_ptr<const RecordedBatch> batch_;
  CgFacWorkspace workspace_;
  Buffer<float> previous_;
  bool has_previous_ = false;
};

}  // namespace cgfac
