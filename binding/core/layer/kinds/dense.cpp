#include "core/layer/kinds/dense.h"

namespace cgfac {

FisherBlock dense_block(const LayerShape& shape, const LayerRows& rows) {
  return {.input = {.rows = rows.inputs, .homogeneous = shape.bias, .scale = 1 / static_cast<double>(rows.samples)},
          .output = {.rows = rows.output_grads,
                     .scale = rows.factor * rows.factor / static_cast<double>(rows.output_grads.rows)},
          .layout = shape.layout};
}

}  // namespace cgfac
