#include "core/layer/kinds/kinds.h"

#include "core/base/error.h"
#include "core/layer/kinds/dense.h"

namespace cgfac {

FisherBlock layer_block(const LayerShape& shape, const LayerRows& rows) {
  switch (shape.kind) {
    case Kind::dense:
      return dense_block(shape, rows);
  }
  throw expected(ErrorCode::invalid_value, "a kind of layer that the core knows", "kind", "another");
}

FisherBlock shape_block(const LayerShape& shape) {
  return {.input = {.rows = {nullptr, 0, shape.in_features}, .homogeneous = shape.bias},
          .output = {.rows = {nullptr, 0, shape.out_features}},
          .layout = shape.layout};
}

}  // namespace cgfac
