#include "core/solver/scaled_system.h"

#include <algorithm>
#include <cmath>
#include <span>

#include "core/block/finite.h"
#include "core/block/powers.h"
#include "core/block/weight_vector.h"

namespace cgfac {
namespace {

// Of a damping, what a factor is to be brought up to beside it: the solution may be as small as the inverse.
constexpr double spare = 0x1p-50;

// The most that κ' makes up for: it is divided by each γ on its own on its way to x'.
constexpr int most_made_up = 60;

// A side whose factor is 4^−exponent times as large; its homogeneous coordinate is 2^−exponent, and stored.
Side scaled_side(const Side& side, int exponent, Buffer<float>& memory) {
  if (exponent == 0) return side;
  Side result = side;
  if (side.given()) {
    const std::size_t d = side.dimension();
    result.covariance = memory.matrix(d, d);
    copy_scaled(side.covariance, -2 * exponent, memory.held(d * d).data());
    return result;
  }
  const std::size_t count = side.count();
  const std::size_t features = side.features();
  const std::span<float> numbers = memory.span(count * (features + 1));
  float* const behind = copy_scaled(side.rows, -exponent, numbers.data());
  result.rows = {numbers.data(), count, features};
  if (!side.homogeneous) return result;
  for (std::size_t i = 0; i < count; ++i)
    behind[i] = static_cast<float>(std::ldexp(side.last_coordinate(i), -exponent));
  result.last = {behind, count, 1};
  return result;
}

}  // namespace

bool comfortable(const BlockTraces& traces, const SolveDamping& damping, const Destination& destination) {
  constexpr double largest_factor = 0x1p20;
  const bool damped = damping.gamma ? comfortable(damping.gamma->input) && comfortable(damping.gamma->output)
                                    : comfortable(damping.lambda);
  const auto apt = [](double trace) { return trace == 0 || comfortable(trace); };
  // products of four numbers have to fit, too: the rows' own of both sides, v and what divides it
  const double both = traces.input * traces.output;
  const bool products = apt(both) && !(damping.relative && !damping.gamma && !apt(damping.lambda * both));
  return damped && products && apt(traces.input) && apt(traces.output) &&
         std::abs(destination.factor) <= largest_factor;
}

ScaledSystem::ScaledSystem(const FisherBlock& block, const BlockTraces& traces, const SolveDamping& damping,
                           const Gradient& gradient, const std::optional<WeightView<const float>>& x0, Memory& memory)
    : block_(block), damping_(damping) {
  const double input_size = damping.gamma ? std::max(traces.input, spare * damping.gamma->input) : traces.input;
  input_exponent_ = root_exponent(input_size);
  const double lambda = damping.relative ? 0 : std::ldexp(damping.lambda, -2 * input_exponent_);
  const double rest = damping.gamma ? damping.gamma->output : lambda;
  output_exponent_ = root_exponent(std::max(traces.output, spare * rest));
  block_.input = scaled_side(block.input, input_exponent_, memory.input);
  block_.output = scaled_side(block.output, output_exponent_, memory.output);
  traces_ = {.input = std::ldexp(traces.input, -2 * input_exponent_),
             .output = std::ldexp(traces.output, -2 * output_exponent_)};
  if (!damping.relative) damping_.lambda = std::ldexp(lambda, -2 * output_exponent_);
  if (damping_.gamma) {
    damping_.gamma->input = std::ldexp(damping.gamma->input, -2 * input_exponent_);
    damping_.gamma->output = std::ldexp(damping.gamma->output, -2 * output_exponent_);
  }
  if (!(gradient.same_batch() && has_block_inputs(block, gradient))) {
    const Gradient given = given_gradient(block, gradient, memory.formed);
    if (!std::isfinite(dot(given.v, given.v))) throw_not_finite(block, gradient);
    take_given(given.v, memory);
  } else if (!take_what_remains(block, gradient, memory)) {
    const bool of_rows = empirical(block, gradient) && output_exponent_ == root_exponent(traces.output);
    take_own(gradient, of_rows, output_exponent_, memory);
  }
  gradient_.scaled = true;
  destination_ = {.out = block.view(memory.solution.span(block.size()))};
  if (!x0) return;
  const int start_exponent = (2 * (input_exponent_ + output_exponent_)) - gradient_exponent_;
  constexpr int largest_start = 60;  // 2^60 times the size of v' is none
  if (root_exponent(dot(*x0, *x0)) + start_exponent > largest_start) return;
  const WeightView<float> start = block.view(memory.start.span(block.size()));
  copy_scaled(*x0, start_exponent, start);
  x0_ = start;
}

// v = κ·g_vᵀ [a 1], with κ' that makes up for rows which are small beside their damping: else x', which both dampings
// divide, could fall below what float32 holds in full. Under the empirical Fisher g_v' are the scaled rows themselves.
void ScaledSystem::take_own(const Gradient& gradient, bool empirical, int output_exponent, Memory& memory) {
  int exponent = output_exponent;
  if (empirical) {
    gradient_.loss_grads = block_.output.rows;
  } else {
    const MatrixView<const float>& grads = gradient.loss_grads;
    exponent = root_exponent(squares_in_pieces(grads));
    gradient_.loss_grads = memory.gradient.matrix(grads.rows, grads.cols);
    copy_scaled(grads, -exponent, memory.gradient.held(grads.size()).data());
  }
  const double rows = traces_.input / block_.input.scale * (empirical ? traces_.output / block_.output.scale : 1);
  const int of_scale = std::ilogb(gradient.scale) + std::clamp(root_exponent(rows), -most_made_up, 0);
  gradient_.scale = std::ldexp(gradient.scale, -of_scale);
  gradient_exponent_ = of_scale + exponent + input_exponent_;
  // samples whose gradients are large where their inputs are small make less of v than both let expect
  const WeightView<const float> v = given_gradient(block_, gradient_, memory.formed).v;
  const double v_norm2 = dot(v, v);
  if (comfortable_square(v_norm2) || !std::isfinite(v_norm2)) return;
  gradient_.scale = std::ldexp(gradient_.scale, -root_exponent(v_norm2));
  gradient_exponent_ += root_exponent(v_norm2);
}

// What remains of rows that nearly cancel is far below 1 by their scale: it is formed, and has one of its own.
bool ScaledSystem::take_what_remains(const FisherBlock& block, const Gradient& gradient, Memory& memory) {
  if (!may_be_wide(block, gradient)) return false;
  const double v_norm2 = wide_norm2(block, gradient);
  if (!(v_norm2 > 0 && std::isfinite(v_norm2) && nearly_cancels(block, gradient, v_norm2))) return false;
  gradient_exponent_ = root_exponent(v_norm2);
  gradient_ = wide_gradient(block, gradient, memory.gradient, gradient_exponent_);
  return true;
}

void ScaledSystem::take_given(const WeightView<const float>& v, Memory& memory) {
  gradient_exponent_ = root_exponent(dot(v, v));
  const WeightView<float> copy = block_.view(memory.gradient.span(block_.size()));
  copy_scaled(v, -gradient_exponent_, copy);
  gradient_.v = copy;
}

void ScaledSystem::write(const Destination& destination) const {
  write_scaled(destination_.out, gradient_exponent_ - (2 * (input_exponent_ + output_exponent_)), destination);
}

void ScaledSystem::write_image(const WeightView<float>& out) const {
  write_scaled(destination_.out, gradient_exponent_ + (2 * (input_exponent_ + output_exponent_)), {.out = out},
               products_within);
}

SolutionProducts ScaledSystem::products(const SolutionProducts& scaled) const {
  const int solution = gradient_exponent_ - (2 * (input_exponent_ + output_exponent_));
  return {.vx = std::ldexp(scaled.vx, gradient_exponent_ + solution),
          .xfx = std::ldexp(scaled.xfx, gradient_exponent_ + solution),
          .xx = std::ldexp(scaled.xx, 2 * solution)};
}

double ScaledSystem::eigenvalue(double scaled) const {
  return std::ldexp(scaled, 2 * (input_exponent_ + output_exponent_));
}

void ScaledSystem::restore(Spectrum& spectrum) const {
  for (double& value : spectrum.input_values) value = std::ldexp(value, 2 * input_exponent_);
  for (double& value : spectrum.output_values) value = std::ldexp(value, 2 * output_exponent_);
  for (double& weight : spectrum.weights)
    weight = std::ldexp(weight, 2 * (input_exponent_ + output_exponent_ + gradient_exponent_));
  spectrum.v_norm2 = std::ldexp(spectrum.v_norm2, 2 * gradient_exponent_);
}

}  // namespace cgfac
