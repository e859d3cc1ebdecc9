#include "core/layer/kinds/depthwise_convolution.h"

#include <algorithm>

#include "core/layer/kinds/convolution.h"
#include "core/threads/parallel.h"

namespace cgfac {
namespace {

SideRows inputs_of(const LayerShape& shape, MatrixView<const float> inputs) {
  return {.recorded = inputs,
          .features = shape.patches.features(),
          .positions = shape.patches.positions(),
          .patches = &shape.patches};
}

SideRows outputs_of(const LayerShape& shape, MatrixView<const float> output_grads) {
  return {.recorded = output_grads, .features = shape.out_features, .positions = shape.patches.positions()};
}

// Calls `body(tap, output, a, g)` for all numbers of a weight at a position: a of the channel that the output is of.
template <typename Body>
void each_weight(const LayerShape& shape, MatrixView<const float> patch, MatrixView<const float> grads, std::size_t t,
                 const Body& body) {
  const std::size_t channels = shape.patches.channels;
  for (std::size_t tap = 0; tap < shape.in_features; ++tap) {
    for (std::size_t o = 0; o < shape.out_features; ++o)
      body(tap, o, patch(t, (tap * channels) + (o / shape.multiplier)), grads(t, o));
  }
}

}  // namespace

SideRows DepthwiseConvolutionKind::input_rows(const LayerShape& shape, MatrixView<const float> inputs) const {
  return inputs_of(shape, inputs);
}

SideRows DepthwiseConvolutionKind::output_rows(const LayerShape& shape, MatrixView<const float> output_grads) const {
  return outputs_of(shape, output_grads);
}

FisherBlock DepthwiseConvolutionKind::block(const LayerShape& shape, const LayerRows& rows, DrawnRows& memory) const {
  return convolution_block(shape, inputs_of(shape, rows.inputs), outputs_of(shape, rows.output_grads), rows, memory);
}

void DepthwiseConvolutionKind::form_gradient(const LayerShape& shape, MatrixView<const float> inputs,
                                             MatrixView<const float> output_grads, double scale,
                                             const WeightView<float>& v) const {
  const SideRows a = inputs_of(shape, inputs);
  const SideRows g = outputs_of(shape, output_grads);
  std::vector<double> kernel(shape.in_features * shape.out_features);
  std::vector<double> bias(v.bias.size());
  std::vector<float> memory;
  std::vector<float> none;
  for (std::size_t r = 0; r < inputs.rows; ++r) {
    const MatrixView<const float> patches = a.of_sample(r, memory);
    const MatrixView<const float> grads = g.of_sample(r, none);
    for (std::size_t t = 0; t < patches.rows; ++t) {
      each_weight(shape, patches, grads, t, [&](std::size_t tap, std::size_t o, float input, float grad) {
        kernel[(tap * shape.out_features) + o] += static_cast<double>(input) * static_cast<double>(grad);
      });
      for (std::size_t o = 0; o < bias.size(); ++o) bias[o] += static_cast<double>(grads(t, o));
    }
  }
  for (std::size_t tap = 0; tap < shape.in_features; ++tap) {
    for (std::size_t o = 0; o < shape.out_features; ++o)
      v.kernel(o, tap) = static_cast<float>(scale * kernel[(tap * shape.out_features) + o]);
  }
  std::ranges::transform(bias, v.bias.begin(), [scale](double sum) { return static_cast<float>(scale * sum); });
}

void DepthwiseConvolutionKind::products(const LayerShape& shape, const WeightView<const float>& x,
                                        MatrixView<const float> inputs, MatrixView<const float> output_grads,
                                        std::span<double> products) const {
  const SideRows a = inputs_of(shape, inputs);
  const SideRows g = outputs_of(shape, output_grads);
  parallel_for(inputs.rows, [&](std::size_t r) {
    std::vector<float> memory;
    std::vector<float> none;
    const MatrixView<const float> patches = a.of_sample(r, memory);
    const MatrixView<const float> grads = g.of_sample(r, none);
    double sum = 0;
    for (std::size_t t = 0; t < patches.rows; ++t) {
      each_weight(shape, patches, grads, t, [&](std::size_t tap, std::size_t o, float input, float grad) {
        sum += static_cast<double>(input) * static_cast<double>(grad) * static_cast<double>(x.kernel(o, tap));
      });
      for (std::size_t o = 0; o < x.bias.size(); ++o)
        sum += static_cast<double>(grads(t, o)) * static_cast<double>(x.bias[o]);
    }
    products[r] = sum;
  });
}

Factor DepthwiseConvolutionKind::input_factor(const LayerShape& shape, const FactorOptions& options) const {
  FactorOptions own = options;
  own.blocks = {.count = shape.patches.channels, .interleaved = true};
  return {shape.patches.features(), shape.bias, own};
}

Factor DepthwiseConvolutionKind::output_factor(const LayerShape& shape, const FactorOptions& options) const {
  FactorOptions own = options;
  own.blocks = {.count = shape.patches.channels};
  return {shape.out_features, false, own};
}

void DepthwiseConvolutionKind::apply_inverses(const LayerShape& shape, DampedInverse& input, DampedInverse& output,
                                              const WeightView<float>& x) const {
  const std::size_t outputs = shape.multiplier;
  for (std::size_t c = 0; c < shape.patches.channels; ++c) {
    const MatrixView<float> body = x.kernel.rows_from(c * outputs, outputs);
    const std::span<float> bias = x.bias.empty() ? x.bias : x.bias.subspan(c * outputs, outputs);
    const MatrixView<float> last = bias.empty() ? MatrixView<float>() : MatrixView<float>(bias.data(), bias.size(), 1);
    input.apply_block(c, {.body = body, .last = last});
    output.apply_block(c, {.body = body.transposed()});
    if (!bias.empty()) output.apply_block(c, {.body = last.transposed()});
  }
}

}  // namespace cgfac
