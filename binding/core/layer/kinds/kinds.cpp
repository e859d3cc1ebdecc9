#include "core/layer/kinds/kinds.h"

#include "core/base/error.h"
#include "core/layer/kinds/convolution.h"
#include "core/layer/kinds/dense.h"
#include "core/layer/kinds/depthwise_convolution.h"
#include "core/layer/kinds/diagonal.h"
#include "core/layer/kinds/embedding.h"
#include "core/layer/kinds/scale_shift.h"

namespace cgfac {

const KindOfLayer& kind_of(const LayerShape& shape) {
  static const DenseKind dense;
  static const DiagonalKind diagonal;
  static const ConvolutionKind convolution;
  static const DepthwiseConvolutionKind depthwise_convolution;
  static const EmbeddingKind embedding;
  static const ScaleShiftKind scale_shift;
  switch (shape.kind) {
    case Kind::dense:
      return dense;
    case Kind::diagonal:
      return diagonal;
    case Kind::convolution:
    case Kind::transposed_convolution:
      return convolution;
    case Kind::depthwise_convolution:
      return depthwise_convolution;
    case Kind::embedding:
      return embedding;
    case Kind::scale_shift:
      return scale_shift;
  }
  throw expected(ErrorCode::invalid_value, "a kind of layer that the core knows", "kind", "another");
}

void KindOfLayer::apply_inverses(const LayerShape& /*shape*/, DampedInverse& input, DampedInverse& output,
                                 const WeightView<float>& x) const {
  const std::span<float> bias = x.bias;
  const MatrixView<float> column(bias.data(), bias.size(), 1);
  input.apply({.body = x.kernel, .last = bias.empty() ? MatrixView<float>() : column});
  output.apply({.body = x.kernel.transposed()});
  if (!bias.empty()) output.apply({.body = column.transposed()});
}

FisherBlock shape_block(const LayerShape& shape) {
  return {.input = {.rows = {nullptr, 0, shape.in_features}, .homogeneous = shape.bias},
          .output = {.rows = {nullptr, 0, shape.out_features}},
          .layout = shape.layout};
}

}  // namespace cgfac
