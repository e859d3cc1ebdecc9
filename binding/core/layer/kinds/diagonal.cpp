#include "core/layer/kinds/diagonal.h"

namespace cgfac {

FisherBlock DiagonalKind::block(const LayerShape& shape, const LayerRows& rows, DrawnRows& /*memory*/) const {
  return {.input = {.rows = rows.inputs, .scale = 1 / static_cast<double>(rows.inputs.rows)},
          .output = {.rows = rows.output_grads,
                     .scale = rows.factor * rows.factor / static_cast<double>(rows.output_samples)},
          .layout = shape.layout};
}

void DiagonalKind::form_gradient(const LayerShape& shape, MatrixView<const float> inputs,
                                 MatrixView<const float> output_grads, double scale, const WeightView<float>& v) const {
  dense_.form_gradient(shape, inputs, output_grads, scale, v);
}

void DiagonalKind::products(const LayerShape& shape, const WeightView<const float>& x, MatrixView<const float> inputs,
                            MatrixView<const float> output_grads, std::span<double> products) const {
  dense_.products(shape, x, inputs, output_grads, products);
}

Factor DiagonalKind::input_factor(const LayerShape& /*shape*/, const FactorOptions& options) const {
  FactorOptions own = options;
  own.diagonal = own.exact = true;
  return {1, false, own};
}

Factor DiagonalKind::output_factor(const LayerShape& shape, const FactorOptions& options) const {
  FactorOptions own = options;
  own.diagonal = true;
  own.columns = shape.columns;
  return {shape.out_features, false, own};
}

}  // namespace cgfac
