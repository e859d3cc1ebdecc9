#include "core/block/gradient.h"

#include <cmath>

#include "core/block/augmented.h"
#include "core/block/weight_vector.h"
#include "core/threads/parallel.h"

namespace cgfac {
namespace {

// The batch's input rows and the homogeneous 1.
Side inputs_of(const FisherBlock& block, const Gradient& gradient) {
  if (has_block_inputs(block, gradient)) return block.input;
  return {.rows = gradient.inputs, .homogeneous = block.bias()};
}

// An element of κ·g_vᵀ [a 1] in float64.
double wide_element(const Gradient& gradient, const Side& inputs, std::size_t i, std::size_t j) {
  double sum = 0;
  for (std::size_t row = 0; row < inputs.count(); ++row) {
    const double a = j < inputs.features() ? static_cast<double>(inputs.rows(row, j)) : inputs.last_coordinate(row);
    sum += static_cast<double>(gradient.loss_grads(row, i)) * a;
  }
  return gradient.scale * sum;
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

bool may_be_wide(const FisherBlock& block, const Gradient& gradient) {
  constexpr std::size_t most_products = 1U << 14U;
  return block.size() * inputs_of(block, gradient).count() <= most_products;
}

bool nearly_cancels(const FisherBlock& block, const Gradient& gradient, double v_norm2) {
  constexpr double mean_of_random = 8;  // times as much as what random rows leave, ‖g_v‖²‖a‖²/B
  const Side inputs = inputs_of(block, gradient);
  const std::size_t count = inputs.count();
  if (!may_be_wide(block, gradient)) return false;
  const double rows = squares_in_pieces(gradient.loss_grads) * trace(inputs) / inputs.scale;
  return v_norm2 * mean_of_random * static_cast<double>(count) < gradient.scale * gradient.scale * rows;
}

double wide_norm2(const FisherBlock& block, const Gradient& gradient) {
  const Side inputs = inputs_of(block, gradient);
  double norm2 = 0;
  for (std::size_t i = 0; i < block.rows(); ++i) {
    for (std::size_t j = 0; j < block.cols(); ++j) {
      const double element = wide_element(gradient, inputs, i, j);
      norm2 += element * element;
    }
  }
  return norm2;
}

Gradient wide_gradient(const FisherBlock& block, const Gradient& gradient, Buffer<float>& memory, int exponent) {
  const Side inputs = inputs_of(block, gradient);
  const WeightView<float> v = block.view(memory.span(block.size()));
  for (std::size_t i = 0; i < block.rows(); ++i) {
    for (std::size_t j = 0; j < block.cols(); ++j) {
      (j < inputs.features() ? v.kernel(i, j) : v.bias[i]) =
          static_cast<float>(std::ldexp(wide_element(gradient, inputs, i, j), -exponent));
    }
  }
  return {.v = v, .scaled = gradient.scaled};
}

Gradient given_gradient(const FisherBlock& block, const Gradient& gradient, Buffer<float>& memory) {
  if (!gradient.same_batch()) return gradient;
  const WeightView<float> v = block.view(memory.span(block.size()));
  form_gradient(block, gradient, v);
  if (nearly_cancels(block, gradient, dot(v, v))) return wide_gradient(block, gradient, memory);
  return {.v = v, .scaled = gradient.scaled};
}

}  // namespace cgfac
