#include "core/layer/kinds/dense.h"

#include "core/block/gradient.h"
#include "core/linalg/blas.h"
#include "core/linalg/tiles.h"

namespace cgfac {

FisherBlock DenseKind::block(const LayerShape& shape, const LayerRows& rows, DrawnRows& /*memory*/) const {
  return {.input = {.rows = rows.inputs, .homogeneous = shape.bias, .scale = 1 / static_cast<double>(rows.samples)},
          .output = {.rows = rows.output_grads,
                     .scale = rows.factor * rows.factor / static_cast<double>(rows.output_grads.rows)},
          .layout = shape.layout};
}

void DenseKind::form_gradient(const LayerShape& shape, MatrixView<const float> inputs,
                              MatrixView<const float> output_grads, double scale, const WeightView<float>& v) const {
  cgfac::form_gradient(shape_block(shape), {.loss_grads = output_grads, .inputs = inputs, .scale = scale}, v);
}

void DenseKind::products(const LayerShape& /*shape*/, const WeightView<const float>& x, MatrixView<const float> inputs,
                         MatrixView<const float> output_grads, std::span<double> products) const {
  std::vector<float> memory(output_grads.size());
  const MatrixView<float> outputs(memory.data(), output_grads.rows, output_grads.cols);
  gemm_in_tiles(1.0F, inputs, x.kernel.transposed(), 0.0F, outputs);
  for (std::size_t i = 0; i < outputs.rows; ++i) {
    float* const row = outputs.data + (i * outputs.cols);
    for (std::size_t j = 0; j < x.bias.size(); ++j) row[j] += x.bias[j];
    products[i] = blas::dot(output_grads.rows_from(i, 1).elements(), std::span<const float>(row, outputs.cols));
  }
}

}  // namespace cgfac
