#include "core/layer/recorded_rows.h"

#include <algorithm>
#include <limits>
#include <string_view>

#include "core/base/error.h"
#include "core/block/finite.h"
#include "core/block/gradient.h"
#include "core/block/weight_vector.h"
#include "core/linalg/blas.h"

namespace cgfac {
namespace {

// Whether each of a part's samples has as many rows.
bool is_whole(const RecordedPart& part) {
  return part.samples.count > 0 && part.rows % part.samples.count == 0;
}

// ‖x‖², refused where it is not a number of float32
double checked_square(std::string_view name, const std::vector<float>& numbers, double factor) {
  const double square = blas::dot(std::span(numbers), std::span(numbers));
  if (factor * factor * square <= static_cast<double>(std::numeric_limits<float>::max())) return square;
  require_finite(name, numbers);
  throw expected(ErrorCode::not_finite, "squares within the range of float32", name, "an overflow");
}

}  // namespace

void RecordedRows::Grads::append(const MatrixView<const float>& rows, double factor_of_rows) {
  if (numbers.empty()) factor = factor_of_rows;
  const std::size_t before = numbers.size();
  numbers.insert(numbers.end(), rows.data, rows.data + rows.size());
  if (factor_of_rows == factor) return;
  const auto ratio = static_cast<float>(factor_of_rows / factor);
  for (std::size_t i = before; i < numbers.size(); ++i) numbers[i] *= ratio;
}

RecordedRows::RecordedRows(const LayerShape& shape, const Batch& batch)
    : shape_(shape),
      input_width_(shape.in_features),
      output_width_(shape.out_features),
      inputs_(batch.inputs.data, batch.inputs.data + batch.inputs.size()),
      fisher_samples_(batch.output_grads.rows),
      input_rows_(batch.inputs.rows),
      samples_(batch.inputs.rows) {
  fisher_.append(batch.output_grads, sample_factor(shape, batch.inputs.rows));
  traces_ = cgfac::traces(block());
}

void RecordedRows::append(MatrixView<const float> inputs, MatrixView<const float> loss_grads, std::size_t samples,
                          double factor, SampleRange range) {
  if (range.count == 0) range = {.first = samples_, .count = samples};
  block_ = {};
  parts_.push_back({.first_row = input_rows_, .rows = inputs.rows, .samples = range});
  inputs_.insert(inputs_.end(), inputs.data, inputs.data + inputs.size());
  loss_.append(loss_grads, factor);
  input_rows_ += inputs.rows;
  samples_ += samples;
  traces_ = {};
}

void RecordedRows::append_fisher(MatrixView<const float> output_grads, double factor, bool for_factors,
                                 std::size_t samples) {
  for_factors_ = for_factors;
  fisher_samples_ += samples == 0 ? output_grads.rows : samples;
  fisher_.append(output_grads, factor);
  fisher_parts_.push_back(output_grads.rows);
  traces_ = {};
  block_ = {};
}

RecordedShare RecordedRows::share() const {
  return {.inputs = inputs(),
          .loss_grads = loss_grads(),
          .output_grads = view(fisher_.numbers, output_width_),
          .loss_factor = loss_.factor,
          .fisher_factor = fisher_.factor,
          .for_factors = for_factors_,
          .samples = samples_,
          .fisher_samples = fisher_samples_,
          .parts = parts_,
          .fisher_parts = fisher_parts_};
}

void RecordedRows::append(const RecordedShare& share) {
  std::size_t first_sample = 0;
  for (const RecordedPart& part : parts_)
    first_sample = std::max(first_sample, part.samples.first + part.samples.count);
  for (const auto& [first_row, rows, samples] : share.parts) {
    parts_.push_back({.first_row = input_rows_ + first_row,
                      .rows = rows,
                      .samples = {.first = first_sample + samples.first, .count = samples.count}});
  }
  const std::span<const float> inputs = share.inputs.elements();
  inputs_.insert(inputs_.end(), inputs.begin(), inputs.end());
  if (share.loss_grads.rows > 0) loss_.append(share.loss_grads, share.loss_factor);
  input_rows_ += share.inputs.rows;
  samples_ += share.samples;
  if (share.output_grads.rows > 0) {
    for_factors_ = share.for_factors;
    fisher_samples_ += share.fisher_samples;
    fisher_.append(share.output_grads, share.fisher_factor);
    fisher_parts_.insert(fisher_parts_.end(), share.fisher_parts.begin(), share.fisher_parts.end());
  }
  traces_ = {};
  block_ = {};
}

// A part's first samples are those whose targets were sampled, with all of their rows.
std::vector<std::size_t> RecordedRows::sampled_rows() const {
  std::vector<std::size_t> rows;
  rows.reserve(parts_.size());
  for (const RecordedPart& part : parts_) rows.push_back(part.rows);
  if (fisher_.numbers.empty()) {
    const bool whole = std::ranges::all_of(parts_, [](const RecordedPart& part) { return is_whole(part); });
    return whole ? rows : std::vector<std::size_t>{};
  }
  if (fisher_parts_.size() != parts_.size()) return {};
  for (std::size_t i = 0; i < parts_.size(); ++i) {
    const auto& [first_row, count, samples] = parts_[i];
    if (!is_whole(parts_[i]) || fisher_parts_[i] % (count / samples.count) != 0) return {};
    if (fisher_parts_[i] > count) return {};
  }
  return fisher_parts_;
}

void RecordedRows::require_finite() {
  const double inputs = checked_square("inputs", inputs_, 1);
  const double loss = checked_square("lossGrads", loss_.numbers, loss_.factor);
  const double fisher = checked_square("outputGrads", fisher_.numbers, fisher_.factor);
  if (!kind_of(shape_).by_rows()) return;
  const FisherBlock rows = block();
  const double ones = shape_.bias ? static_cast<double>(input_rows_) : 0;
  traces_ = {.input = rows.input.scale * (inputs + ones), .output = rows.output.scale * (empirical() ? loss : fisher)};
}

std::vector<std::size_t> RecordedRows::factor_rows() const {
  if (!empirical()) return sampled_rows();
  std::vector<std::size_t> rows;
  rows.reserve(parts_.size());
  for (const RecordedPart& part : parts_) rows.push_back(part.rows);
  return rows;
}

LayerRows RecordedRows::layer_rows(std::vector<std::size_t>& part_rows) const {
  const Grads& grads = output_grads();
  part_rows = factor_rows();
  return {.inputs = inputs(),
          .output_grads = view(grads.numbers, output_width_),
          .samples = samples_,
          .output_samples = empirical() ? samples_ : fisher_samples_,
          .factor = grads.factor,
          .parts = parts_,
          .output_rows = part_rows};
}

FisherBlock RecordedRows::made(DrawnRows& memory) const {
  std::vector<std::size_t> part_rows;
  return kind_of(shape_).block(shape_, layer_rows(part_rows), memory);
}

FisherBlock RecordedRows::block() const {
  if (!kind_of(shape_).by_rows()) return block_;
  DrawnRows none;
  return made(none);
}

const FisherBlock& RecordedRows::draw(std::uint64_t stream) {
  drawn_.stream = stream;
  block_ = made(drawn_);
  // those of an earlier draw are not this one's
  if (traces_.input == 0 || !kind_of(shape_).by_rows()) traces_ = cgfac::traces(block_);
  return block_;
}

void RecordedRows::form_gradient(const WeightView<float>& v) const {
  kind_of(shape_).form_gradient(shape_, inputs(), loss_grads(), loss_scale(), v);
}

Gradient RecordedRows::gradient() const {
  return {.loss_grads = loss_grads(), .scale = loss_scale()};
}

void RecordedRows::clear() {
  inputs_.clear();
  loss_.numbers.clear();
  fisher_.numbers.clear();
  input_rows_ = samples_ = fisher_samples_ = 0;
  parts_.clear();
  fisher_parts_.clear();
  traces_ = {};
  block_ = {};
}

std::size_t RecordedRows::bytes() const {
  const std::size_t drawn = drawn_.inputs.capacity() + drawn_.output_grads.capacity();
  return (inputs_.capacity() + loss_.numbers.capacity() + fisher_.numbers.capacity() + drawn) * sizeof(float);
}

}  // namespace cgfac
