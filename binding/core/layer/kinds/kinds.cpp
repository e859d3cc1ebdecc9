#include "core/layer/kinds/kinds.h"

#include "core/base/error.h"
#include "core/layer/kinds/dense.h"
#include "core/layer/kinds/diagonal.h"

namespace cgfac {

FisherBlock layer_block(const LayerShape& shape, const LayerRows& rows) {
  switch (shape.kind) {
    case Kind::dense:
      return dense_block(shape, rows);
    case Kind::diagonal:
      return diagonal_block(shape, rows);
  }
  throw expected(ErrorCode::invalid_value, "a kind of layer that the core knows", "kind", "another");
}

FactorOptions input_factor(const LayerShape& shape, const FactorOptions& options) {
  return shape.kind == Kind::diagonal ? unit_factor(options) : options;
}

FactorOptions output_factor(const LayerShape& shape, const FactorOptions& options) {
  return shape.kind == Kind::diagonal ? diagonal_factor(shape, options) : options;
}

FisherBlock shape_block(const LayerShape& shape) {
  return {.input = {.rows = {nullptr, 0, shape.in_features}, .homogeneous = shape.bias},
          .output = {.rows = {nullptr, 0, shape.out_features}},
          .layout = shape.layout};
}

}  // namespace cgfac
