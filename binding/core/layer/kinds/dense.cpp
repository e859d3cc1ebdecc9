#include "core/layer/kinds/dense.h"

namespace cgfac {

FisherBlock dense_block(const LayerShape& shape, const DenseRows& rows) {
  return {.input = {.rows = rows.inputs, .homogeneous = shape.bias, .scale = 1 / static_cast<double>(rows.samples)},
          .output = {.rows = rows.output_grads,
                     .scale = rows.factor * rows.factor / static_cast<double>(rows.output_grads.rows)},
          .layout = shape.layout};
}

FisherBlock shape_block(const LayerShape& shape) {
  return {.input = {.rows = {nullptr, 0, shape.in_features}, .homogeneous = shape.bias},
          .output = {.rows = {nullptr, 0, shape.out_features}},
          .layout = shape.layout};
}

}  // namespace cgfac
