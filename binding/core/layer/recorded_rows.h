#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "core/block/damping.h"
#include "core/block/gradient.h"
#include "core/layer/kinds/kinds.h"

namespace cgfac {

/// What was recorded of a step, as it travels from one rank to another.
struct RecordedShare {
  MatrixView<const float> inputs;
  MatrixView<const float> loss_grads;
  MatrixView<const float> output_grads;  ///< of sampled targets
  double loss_factor = 1;
  double fisher_factor = 1;
  bool for_factors = true;  ///< whether the output factor is made of them
  std::size_t samples = 0;
  std::size_t fisher_samples = 0;
  std::vector<RecordedPart> parts{};
  std::vector<std::size_t> fisher_parts{};
};

/// The rows of one step, copied: those of one batch or, one after another, of several.
class RecordedRows {
 public:
  explicit RecordedRows(const LayerShape& shape)
      : shape_(shape),
        input_width_(kind_of(shape).input_width(shape)),
        output_width_(kind_of(shape).output_width(shape)) {}
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

  /// All that was recorded, where it lies.
  [[nodiscard]] RecordedShare share() const;
  /// Copies what another rank recorded behind what is there: its samples are others.
  void append(const RecordedShare& share);

  [[nodiscard]] bool empty() const { return input_rows_ == 0; }
  [[nodiscard]] std::size_t input_rows() const { return input_rows_; }
  /// Whether the output factor is made of the loss gradients.
  [[nodiscard]] bool empirical() const { return fisher_.numbers.empty() || !for_factors_; }
  /// Throws Error(not_finite) that names the array where there is NaN or infinity, or squares beyond float32, which
  /// would stay in an average for good.
  void require_finite();

  /// The Fisher block of the rows; where those that the factors take in are drawn, as of the last `draw`.
  [[nodiscard]] FisherBlock block() const;
  /// Draws the rows that the factors take in, another draw for each `stream`, and returns their block.
  const FisherBlock& draw(std::uint64_t stream);
  /// Of the block, as `require_finite` or `draw` found them; 0 where rows were recorded since.
  [[nodiscard]] const BlockTraces& traces() const { return traces_; }
  /// The rows that the factors are made of, of which `part_rows` is to hold those of each part.
  [[nodiscard]] LayerRows layer_rows(std::vector<std::size_t>& part_rows) const;
  /// The rows' own gradient, factor · lossGradsᵀ [a 1]/samples, of rows that are those of the mathematics.
  [[nodiscard]] Gradient gradient() const;
  /// v ← the rows' own gradient.
  void form_gradient(const WeightView<float>& v) const;

  /// The parts that the inputs were recorded in.
  [[nodiscard]] std::span<const RecordedPart> parts() const { return parts_; }
  /// The rows of the input side.
  [[nodiscard]] MatrixView<const float> inputs() const { return view(inputs_, input_width_); }
  /// The gradients of the loss, a row for each of the inputs.
  [[nodiscard]] MatrixView<const float> loss_grads() const { return view(loss_.numbers, output_width_); }
  /// What makes their products with the inputs the gradient of the mean over the samples.
  [[nodiscard]] double loss_scale() const { return loss_.factor / static_cast<double>(samples_); }
  /// The gradients of sampled targets as they were recorded, or else those of the loss, and the factor that makes them
  /// those of a sample's own loss.
  [[nodiscard]] MatrixView<const float> sampled() const { return view(sampled_grads().numbers, output_width_); }
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

  [[nodiscard]] FisherBlock made(DrawnRows& memory) const;
  // How many of each part's first rows the gradients have that the factors are made of.
  [[nodiscard]] std::vector<std::size_t> factor_rows() const;

  LayerShape shape_;
  std::size_t input_width_;
  std::size_t output_width_;
  std::vector<float> inputs_;
  Grads loss_;
  Grads fisher_;
  bool for_factors_ = true;
  std::size_t fisher_samples_ = 0;
  std::size_t input_rows_ = 0;
  std::size_t samples_ = 0;
  std::vector<RecordedPart> parts_;
  std::vector<std::size_t> fisher_parts_;  // rows of each call of append_fisher
  DrawnRows drawn_;
  FisherBlock block_;  // of drawn rows
  BlockTraces traces_{};
};

}  // namespace cgfac
