#include "core/layer/kinds/convolution.h"

#include <algorithm>

#include "core/block/weight_vector.h"
#include "core/linalg/blas.h"
#include "core/threads/parallel.h"

namespace cgfac {
namespace {

constexpr std::size_t most_pieces = 8;

bool transposed(const LayerShape& shape) {
  return shape.kind == Kind::transposed_convolution;
}

// v ← v + scale · gᵀ [a 1]
void add_product(MatrixView<const float> inputs, MatrixView<const float> output_grads, float scale,
                 const WeightView<float>& v) {
  blas::gemm(scale, output_grads.transposed(), inputs, 1.0F, v.kernel);
  for (std::size_t t = 0; t < output_grads.rows && !v.bias.empty(); ++t) {
    for (std::size_t j = 0; j < output_grads.cols; ++j) v.bias[j] += scale * output_grads(t, j);
  }
}

}  // namespace

SideRows convolution_inputs(const LayerShape& shape, MatrixView<const float> inputs) {
  return {.recorded = inputs,
          .features = transposed(shape) ? shape.in_features : shape.patches.features(),
          .positions = shape.patches.positions(),
          .patches = transposed(shape) ? nullptr : &shape.patches};
}

SideRows convolution_outputs(const LayerShape& shape, MatrixView<const float> output_grads) {
  return {.recorded = output_grads,
          .features = shape.out_features,
          .positions = shape.patches.positions(),
          .patches = transposed(shape) ? &shape.patches : nullptr};
}

std::size_t ConvolutionKind::input_width(const LayerShape& shape) const {
  return transposed(shape) ? shape.patches.positions() * shape.in_features : shape.patches.sample();
}

std::size_t ConvolutionKind::output_width(const LayerShape& shape) const {
  return transposed(shape) ? shape.patches.sample() : shape.patches.positions() * shape.out_features;
}

SideRows ConvolutionKind::input_rows(const LayerShape& shape, MatrixView<const float> inputs) const {
  return convolution_inputs(shape, inputs);
}

SideRows ConvolutionKind::output_rows(const LayerShape& shape, MatrixView<const float> output_grads) const {
  return convolution_outputs(shape, output_grads);
}

FisherBlock convolution_block(const LayerShape& shape, const SideRows& inputs, const SideRows& outputs,
                              const LayerRows& rows, DrawnRows& memory) {
  const auto samples = static_cast<double>(rows.samples);
  const double square = rows.factor * rows.factor;
  Side input{.homogeneous = shape.bias};
  Side output{};
  if (shape.weight_sharing == WeightSharing::reduce) {
    input.rows = inputs.summed(1 / static_cast<double>(inputs.positions), memory.inputs);
    input.scale = 1 / samples;
    output.rows = outputs.summed(1, memory.output_grads);
  } else {
    const auto drawn = [&](const SideRows& all, const std::optional<DrawRange>& range, std::vector<float>& numbers) {
      return range ? all.drawn(*range, numbers)
                   : all.drawn(std::max<std::size_t>(shape.max_rows, 1), memory.stream, numbers);
    };
    input.rows = drawn(inputs, rows.input_draw, memory.inputs);
    input.scale = static_cast<double>(inputs.count()) / static_cast<double>(input.rows.rows) / samples;
    output.rows = drawn(outputs, rows.output_draw, memory.output_grads);
  }
  output.scale = square / static_cast<double>(output.rows.rows);
  return {.input = input, .output = output, .layout = shape.layout};
}

FisherBlock ConvolutionKind::block(const LayerShape& shape, const LayerRows& rows, DrawnRows& memory) const {
  return convolution_block(shape, convolution_inputs(shape, rows.inputs), convolution_outputs(shape, rows.output_grads),
                           rows, memory);
}

// Pieces of the samples each have a sum of their own, whose number their count alone fixes.
void ConvolutionKind::form_gradient(const LayerShape& shape, MatrixView<const float> inputs,
                                    MatrixView<const float> output_grads, double scale,
                                    const WeightView<float>& v) const {
  const SideRows a = convolution_inputs(shape, inputs);
  const SideRows g = convolution_outputs(shape, output_grads);
  const std::size_t samples = inputs.rows;
  const std::size_t pieces = std::clamp<std::size_t>(samples, 1, most_pieces);
  std::vector<float> sums(pieces * shape.size());
  const auto sum_of = [&](std::size_t i) {
    return shape_block(shape).view(std::span(sums).subspan(i * shape.size(), shape.size()));
  };
  parallel_for(pieces, [&](std::size_t i) {
    std::vector<float> input_memory;
    std::vector<float> output_memory;
    for (std::size_t r = samples * i / pieces; r < samples * (i + 1) / pieces; ++r)
      add_product(a.of_sample(r, input_memory), g.of_sample(r, output_memory), static_cast<float>(scale), sum_of(i));
  });
  copy(sum_of(0), v);
  for (std::size_t i = 1; i < pieces; ++i) axpy(1.0F, sum_of(i), v);
}

void ConvolutionKind::products(const LayerShape& shape, const WeightView<const float>& x,
                               MatrixView<const float> inputs, MatrixView<const float> output_grads,
                               std::span<double> products) const {
  const SideRows a = convolution_inputs(shape, inputs);
  const SideRows g = convolution_outputs(shape, output_grads);
  parallel_for(inputs.rows, [&](std::size_t r) {
    std::vector<float> input_memory;
    std::vector<float> output_memory;
    const MatrixView<const float> outputs = g.of_sample(r, output_memory);
    std::vector<float> memory(outputs.size());
    const MatrixView<float> product(memory.data(), outputs.rows, outputs.cols);
    for (std::size_t t = 0; t < product.rows && !x.bias.empty(); ++t)
      std::ranges::copy(x.bias, memory.data() + (t * product.cols));
    blas::gemm(1.0F, a.of_sample(r, input_memory), x.kernel.transposed(), x.bias.empty() ? 0.0F : 1.0F, product);
    products[r] = blas::dot(outputs.elements(), std::span<const float>(memory));
  });
}

}  // namespace cgfac
