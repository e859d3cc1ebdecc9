#include "core/block/gradient.h"

#include "core/block/augmented.h"
#include "core/threads/parallel.h"

namespace cgfac {
namespace {

// The batch's input rows and the homogeneous 1.
Side inputs_of(const FisherBlock& block, const Gradient& gradient) {
  if (has_block_inputs(block, gradient)) return block.input;
  return {.rows = gradient.inputs, .homogeneous = block.bias()};
}

}  // namespace

bool has_block_inputs(const FisherBlock& block, const Gradient& gradient) {
  const MatrixView<const float>& inputs = gradient.inputs;
  return inputs.data == nullptr ||
         (inputs.data == block.input.rows.data && inputs.rows == block.input.count() && !block.input.stores_last());
}

bool empirical(const FisherBlock& block, const Gradient& gradient) {
  return gradient.same_batch() && gradient.loss_grads.data == block.output.rows.data &&
         gradient.loss_grads.rows == block.output.count() && has_block_inputs(block, gradient);
}

void form_gradient(const FisherBlock& block, const Gradient& gradient, const WeightView<float>& v) {
  const Augmented<float> target = augmented(v);
  const Side inputs = inputs_of(block, gradient);
  const Split split = Split::columns(block.rows(), product_flops(block.rows(), inputs.count(), block.cols()));
  parallel_for(split.blocks(), [&](std::size_t i) {
    const std::size_t at = split.first(i);
    const std::size_t count = split.count(i);
    multiply_rows(static_cast<float>(gradient.scale), gradient.loss_grads.transposed().rows_from(at, count), inputs,
                  0.0F, target.rows(at, count));
  });
}

Gradient given_gradient(const FisherBlock& block, const Gradient& gradient, Buffer<float>& memory) {
  if (!gradient.same_batch()) return gradient;
  const WeightView<float> v = block.view(memory.span(block.size()));
  form_gradient(block, gradient, v);
  return {.v = v, .scaled = gradient.scaled};
}

}  // namespace cgfac
