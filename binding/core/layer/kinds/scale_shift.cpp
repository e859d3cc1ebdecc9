#include "core/layer/kinds/scale_shift.h"

#include <algorithm>

#include "core/base/error.h"

namespace cgfac {

// The rows u, 2C numbers each: those of the scales before those of the shifts.
FisherBlock ScaleShiftKind::block(const LayerShape& shape, const LayerRows& rows, DrawnRows& memory) const {
  const std::size_t channels = shape.out_features;
  if (rows.output_rows.size() != rows.parts.size()) {
    throw expected(ErrorCode::shape_mismatch, "gradients of the first samples of the recorded inputs", "outputGrads",
                   "others");
  }
  memory.inputs.clear();
  std::vector<double> sums(2 * channels);
  std::size_t grad_row = 0;
  for (std::size_t i = 0; i < rows.parts.size(); ++i) {
    const RecordedPart& part = rows.parts[i];
    const std::size_t positions = part.rows / part.samples.count;
    for (std::size_t row = 0; row < rows.output_rows[i]; ++row, ++grad_row) {
      if (row % positions == 0) std::ranges::fill(sums, 0.0);
      for (std::size_t c = 0; c < channels; ++c) {
        const auto grad = static_cast<double>(rows.output_grads(grad_row, c));
        sums[c] += grad * static_cast<double>(rows.inputs(part.first_row + row, c));
        sums[channels + c] += grad;
      }
      if ((row + 1) % positions != 0) continue;
      for (const double sum : sums) memory.inputs.push_back(static_cast<float>(sum));
    }
  }
  const std::size_t count = memory.inputs.size() / (2 * channels);
  memory.output_grads.assign(1, 1.0F);
  return {.input = {.rows = {memory.inputs.data(), count, 2 * channels},
                    .scale = rows.factor * rows.factor / static_cast<double>(std::max<std::size_t>(count, 1))},
          .output = {.rows = {memory.output_grads.data(), 1, 1}},
          .layout = shape.layout};
}

void ScaleShiftKind::form_gradient(const LayerShape& shape, MatrixView<const float> inputs,
                                   MatrixView<const float> output_grads, double scale,
                                   const WeightView<float>& v) const {
  std::vector<double> sums(2 * shape.out_features);
  for (std::size_t i = 0; i < inputs.rows; ++i) {
    for (std::size_t c = 0; c < shape.out_features; ++c) {
      const auto grad = static_cast<double>(output_grads(i, c));
      sums[c] += grad * static_cast<double>(inputs(i, c));
      sums[shape.out_features + c] += grad;
    }
  }
  for (std::size_t c = 0; c < shape.out_features; ++c) {
    v.kernel(c, 0) = static_cast<float>(scale * sums[c]);
    v.bias[c] = static_cast<float>(scale * sums[shape.out_features + c]);
  }
}

void ScaleShiftKind::products(const LayerShape& /*shape*/, const WeightView<const float>& x,
                              MatrixView<const float> inputs, MatrixView<const float> output_grads,
                              std::span<double> products) const {
  for (std::size_t i = 0; i < inputs.rows; ++i) {
    products[i] = 0;
    for (std::size_t c = 0; c < inputs.cols; ++c)
      products[i] +=
          static_cast<double>(output_grads(i, c)) * static_cast<double>((inputs(i, c) * x.kernel(c, 0)) + x.bias[c]);
  }
}

Factor ScaleShiftKind::input_factor(const LayerShape& shape, const FactorOptions& options) const {
  FactorOptions own = options;
  own.blocks = {.count = shape.out_features, .interleaved = true, .one_damping = true};
  return {2 * shape.out_features, false, own};
}

// 1, which is known.
Factor ScaleShiftKind::output_factor(const LayerShape& /*shape*/, const FactorOptions& options) const {
  FactorOptions own = options;
  own.diagonal = own.exact = true;
  return {1, false, own};
}

void ScaleShiftKind::apply_inverses(const LayerShape& shape, DampedInverse& input, DampedInverse& /*output*/,
                                    const WeightView<float>& x) const {
  for (std::size_t c = 0; c < shape.out_features; ++c)
    input.apply_block(c, {.body = x.kernel.rows_from(c, 1), .last = {x.bias.data() + c, 1, 1}});
}

}  // namespace cgfac
