#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "core/block/damping.h"
#include "core/block/gradient.h"
#include "core/layer/kinds/kinds.h"

namespace cgfac {

/// Samples of a step, numbered through its batches: sites that share weights see the same ones.
struct SampleRange {
  std::size_t first = 0;
  std::size_t count = 0;
};

/// Rows of the step that were recorded together: so many for each sample, sample by sample.
struct RecordedPart {
  std::size_t first_row = 0;
  std::size_t rows = 0;
  SampleRange samples{};
};

/// The rows of one step, copied: those of one batch or, one after another, of several.
class RecordedRows {
 public:
  explicit RecordedRows(const LayerShape& shape) : shape_(shape) {}
  /// A batch of its own, without loss gradients. Throws Error(not_finite) that names array and index where it is not.
  RecordedRows(const LayerShape& shape, const Batch& batch);

  /// Copies a batch's rows behind those that are there. `samples` are those that the rows come from, 0 where they were
  /// counted before (another use of the same weights); `factor` makes the gradients those of a sample's own loss.
  /// `range` tells which samples they are; of a batch of its own they are those that come next.
  void append(MatrixView<const float> inputs, MatrixView<const float> loss_grads, std::size_t samples, double factor,
              SampleRange range = {});
  /// Copies gradients that the output factor is made of; without them these are the loss gradients (the empirical
  /// Fisher). `for_factors` false: these are for the length of the step alone. They come from `samples`, or, of 0, from
  /// one for each row.
  void append_fisher(MatrixView<const float> output_grads, double factor, bool for_factors = true,
                     std::size_t samples = 0);

  [[nodiscard]] bool empty() const { return input_rows_ == 0; }
  [[nodiscard]] std::size_t input_rows() const { return input_rows_; }
  /// Whether the output factor is made of the loss gradients.
  [[nodiscard]] bool empirical() const { return fisher_.numbers.empty() || !for_factors_; }
  /// Throws Error(not_finite) that names the array where there is NaN or infinity, or squares beyond float32, which
  /// would stay in an average for good.
  void require_finite();

  /// The Fisher block of the rows.
  [[nodiscard]] FisherBlock block() const;
  /// Of the block, as `require_finite` found them; 0 where rows were recorded since.
  [[nodiscard]] const BlockTraces& traces() const { return traces_; }
  /// The rows' own gradient, factor · lossGradsᵀ [a 1]/samples.
  [[nodiscard]] Gradient gradient() const;

  /// The parts that the inputs were recorded in.
  [[nodiscard]] std::span<const RecordedPart> parts() const { return parts_; }
  /// The rows of the input side.
  [[nodiscard]] MatrixView<const float> inputs() const { return view(inputs_, shape_.in_features); }
  /// The gradients of sampled targets as they were recorded, or else those of the loss, and the factor that makes them
  /// those of a sample's own loss.
  [[nodiscard]] MatrixView<const float> sampled() const { return view(sampled_grads().numbers, shape_.out_features); }
  [[nodiscard]] double sampled_factor() const { return sampled_grads().factor; }
  /// How many of each part's first rows have such gradients; empty where they do not belong to the parts.
  [[nodiscard]] std::vector<std::size_t> sampled_rows() const;

  /// Forgets the rows, and keeps their memory.
  void clear();
  /// Memory of the rows.
  [[nodiscard]] std::size_t bytes() const;

 private:
  // Gradients, times a factor that all of them have.
  struct Grads {
    std::vector<float> numbers;
    double factor = 1;
    // Behind those that are there, times the ratio of both factors.
    void append(const MatrixView<const float>& rows, double factor_of_rows);
  };
  [[nodiscard]] const Grads& sampled_grads() const { return fisher_.numbers.empty() ? loss_ : fisher_; }
  [[nodiscard]] const Grads& output_grads() const { return empirical() ? loss_ : fisher_; }
  [[nodiscard]] MatrixView<const float> view(const std::vector<float>& numbers, std::size_t width) const {
    return {numbers.data(), numbers.size() / width, width};
  }

  LayerShape shape_;
  std::vector<float> inputs_;
  Grads loss_;
  Grads fisher_;
  bool for_factors_ = true;
  std::size_t fisher_samples_ = 0;
  std::size_t input_rows_ = 0;
  std::size_t samples_ = 0;
  std::vector<RecordedPart> parts_;
  std::vector<std::size_t> fisher_parts_;  // rows of each call of append_fisher
  BlockTraces traces_{};
};

}  // namespace cgfac
