#include "core/layer/kinds/embedding.h"

#include <algorithm>
#include <cmath>

#include "core/block/weight_vector.h"

namespace cgfac {
namespace {

std::size_t id_at(MatrixView<const float> inputs, std::size_t row) {
  return static_cast<std::size_t>(inputs(row, 0));
}

// The table inFeatures × outFeatures, as it lies.
template <typename T>
MatrixView<T> table_of(const WeightView<T>& x) {
  return x.kernel.transposed();
}

}  // namespace

// One row √count has the counts for its squares.
FisherBlock EmbeddingKind::block(const LayerShape& shape, const LayerRows& rows, DrawnRows& memory) const {
  memory.inputs.assign(shape.in_features, 0);
  for (std::size_t i = 0; i < rows.inputs.rows; ++i) memory.inputs[id_at(rows.inputs, i)] += 1;
  if (shape.mask_zero) memory.inputs[0] = 0;
  for (float& count : memory.inputs) count = std::sqrt(count);
  return {
      .input = {.rows = {memory.inputs.data(), 1, shape.in_features}, .scale = 1 / static_cast<double>(rows.samples)},
      .output = {.rows = rows.output_grads,
                 .scale = rows.factor * rows.factor / static_cast<double>(rows.output_grads.rows)},
      .layout = shape.layout};
}

void EmbeddingKind::form_gradient(const LayerShape& /*shape*/, MatrixView<const float> inputs,
                                  MatrixView<const float> output_grads, double scale,
                                  const WeightView<float>& v) const {
  const MatrixView<float> table = table_of(v);
  std::ranges::fill(table.elements(), 0.0F);
  for (std::size_t i = 0; i < inputs.rows; ++i) {
    const std::size_t id = id_at(inputs, i);
    for (std::size_t j = 0; j < table.cols; ++j) table(id, j) += static_cast<float>(scale) * output_grads(i, j);
  }
}

void EmbeddingKind::products(const LayerShape& /*shape*/, const WeightView<const float>& x,
                             MatrixView<const float> inputs, MatrixView<const float> output_grads,
                             std::span<double> products) const {
  const MatrixView<const float> table = table_of(x);
  for (std::size_t i = 0; i < inputs.rows; ++i) {
    const std::size_t id = id_at(inputs, i);
    products[i] = 0;
    for (std::size_t j = 0; j < table.cols; ++j)
      products[i] += static_cast<double>(output_grads(i, j)) * static_cast<double>(table(id, j));
  }
}

Factor EmbeddingKind::input_factor(const LayerShape& shape, const FactorOptions& options) const {
  FactorOptions own = options;
  own.diagonal = true;
  return {shape.in_features, false, own};
}

// Rows of zeros stay what they are; the others are brought together.
void EmbeddingKind::apply_inverses(const LayerShape& /*shape*/, DampedInverse& input, DampedInverse& output,
                                   const WeightView<float>& x) const {
  const MatrixView<float> table = table_of(x);
  std::vector<std::size_t> present;
  for (std::size_t i = 0; i < table.rows; ++i) {
    const std::span<float> row = table.rows_from(i, 1).elements();
    if (std::ranges::any_of(row, [](float number) { return number != 0; })) present.push_back(i);
  }
  std::vector<float> memory(present.size() * table.cols);
  const MatrixView<float> rows(memory.data(), present.size(), table.cols);
  for (std::size_t i = 0; i < rows.rows; ++i) {
    const float reciprocal = input.view().reciprocals[present[i]];
    const std::span<float> row = table.rows_from(present[i], 1).elements();
    std::ranges::transform(row, rows.rows_from(i, 1).data, [&](float number) { return reciprocal * number; });
  }
  if (!present.empty()) output.apply({.body = rows});
  for (std::size_t i = 0; i < rows.rows; ++i)
    std::ranges::copy(rows.rows_from(i, 1).elements(), table.rows_from(present[i], 1).data);
}

}  // namespace cgfac
