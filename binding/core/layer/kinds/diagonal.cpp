#include "core/layer/kinds/diagonal.h"

namespace cgfac {

FisherBlock diagonal_block(const LayerShape& shape, const LayerRows& rows) {
  return {.input = {.rows = rows.inputs, .scale = 1 / static_cast<double>(rows.inputs.rows)},
          .output = {.rows = rows.output_grads,
                     .scale = rows.factor * rows.factor / static_cast<double>(rows.output_samples)},
          .layout = shape.layout};
}

FactorOptions diagonal_factor(const LayerShape& shape, const FactorOptions& options) {
  FactorOptions own = options;
  own.diagonal = true;
  own.columns = shape.columns;
  return own;
}

FactorOptions unit_factor(const FactorOptions& options) {
  FactorOptions own = options;
  own.diagonal = own.exact = true;
  return own;
}

}  // namespace cgfac
