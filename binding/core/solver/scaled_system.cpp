#include "core/solver/scaled_system.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>

#include "core/base/error.h"
#include "core/block/finite.h"
#include "core/block/weight_vector.h"
#include "core/linalg/blas.h"

namespace cgfac {
namespace {

constexpr auto largest_float = static_cast<double>(std::numeric_limits<float>::max());

// Of a number > 0, e with 2^e ≤ x < 2^(e+1); 0 for 0.
int exponent_of(double x) {
  return x > 0 ? std::ilogb(x) : 0;
}

float times_power(float x, int exponent) {
  return static_cast<float>(std::ldexp(static_cast<double>(x), exponent));
}

// to ← 2^exponent · from, in row-major order
float* copy_scaled(MatrixView<const float> from, int exponent, float* to) {
  for (std::size_t i = 0; i < from.rows; ++i) {
    for (std::size_t j = 0; j < from.cols; ++j) *to++ = times_power(from(i, j), exponent);
  }
  return to;
}

void copy_scaled(const WeightView<const float>& from, int exponent, const WeightView<float>& to) {
  const auto scaled = [exponent](float x) { return times_power(x, exponent); };
  std::ranges::transform(from.kernel.elements(), to.kernel.data, scaled);
  std::ranges::transform(from.bias, to.bias.data(), scaled);
}

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

double largest_of(const WeightView<const float>& x) {
  double largest = 0;
  for (const float element : x.kernel.elements()) largest = std::max(largest, std::abs(static_cast<double>(element)));
  for (const float element : x.bias) largest = std::max(largest, std::abs(static_cast<double>(element)));
  return largest;
}

}  // namespace

bool comfortable(const BlockTraces& traces, const SolveDamping& damping, const Destination& destination) {
  constexpr double largest_factor = 0x1p20;
  const bool damped = damping.gamma ? comfortable(damping.gamma->input) && comfortable(damping.gamma->output)
                                    : comfortable(damping.lambda);
  const auto apt = [](double trace) { return trace == 0 || comfortable(trace); };
  return damped && apt(traces.input) && apt(traces.output) &&
         std::abs(destination.factor) <= largest_factor;
}

ScaledSystem::ScaledSystem(const FisherBlock& block, const BlockTraces& traces, const SolveDamping& damping,
                           const Gradient& gradient, const std::optional<WeightView<const float>>& x0, Memory& memory)
    : block_(block), damping_(damping) {
  const double input_size = damping.gamma ? std::max(traces.input, damping.gamma->input) : traces.input;
  input_exponent_ = exponent_of(input_size) / 2;
  const double lambda = damping.relative ? 0 : std::ldexp(damping.lambda, -2 * input_exponent_);
  const double rest = damping.gamma ? damping.gamma->output : lambda;
  output_exponent_ = exponent_of(std::max(traces.output, rest)) / 2;
  block_.input = scaled_side(block.input, input_exponent_, memory.input);
  block_.output = scaled_side(block.output, output_exponent_, memory.output);
  traces_ = {.input = std::ldexp(traces.input, -2 * input_exponent_),
             .output = std::ldexp(traces.output, -2 * output_exponent_)};
  if (!damping.relative) damping_.lambda = std::ldexp(lambda, -2 * output_exponent_);
  if (damping_.gamma) {
    damping_.gamma->input = std::ldexp(damping.gamma->input, -2 * input_exponent_);
    damping_.gamma->output = std::ldexp(damping.gamma->output, -2 * output_exponent_);
  }
  if (gradient.same_batch() && has_block_inputs(block, gradient)) {
    const bool of_rows = empirical(block, gradient) && output_exponent_ == exponent_of(traces.output) / 2;
    take_own(gradient, of_rows, output_exponent_, memory);
  } else {
    const Gradient given = given_gradient(block, gradient, memory.formed);
    if (!std::isfinite(dot(given.v, given.v))) throw_not_finite(block, gradient);
    take_given(given.v, memory);
  }
  gradient_.scaled = true;
  destination_ = {.out = block.view(memory.solution.span(block.size()))};
  if (!x0) return;
  const WeightView<float> start = block.view(memory.start.span(block.size()));
  copy_scaled(*x0, 2 * (input_exponent_ + output_exponent_) - gradient_exponent_, start);
  x0_ = start;
}

// v = κ·g_vᵀ [a 1] with κ' from 1 to 2; under the empirical Fisher g_v' are the scaled rows themselves
void ScaledSystem::take_own(const Gradient& gradient, bool empirical, int output_exponent, Memory& memory) {
  int exponent = output_exponent;
  if (empirical) {
    gradient_.loss_grads = block_.output.rows;
  } else {
    const MatrixView<const float>& grads = gradient.loss_grads;
    exponent = exponent_of(blas::dot(grads.elements(), grads.elements())) / 2;
    gradient_.loss_grads = memory.gradient.matrix(grads.rows, grads.cols);
    copy_scaled(grads, -exponent, memory.gradient.held(grads.size()).data());
  }
  const int of_scale = exponent_of(gradient.scale);
  gradient_.scale = std::ldexp(gradient.scale, -of_scale);
  gradient_exponent_ = of_scale + exponent + input_exponent_;
}

void ScaledSystem::take_given(const WeightView<const float>& v, Memory& memory) {
  gradient_exponent_ = exponent_of(dot(v, v)) / 2;
  const WeightView<float> copy = block_.view(memory.gradient.span(block_.size()));
  copy_scaled(v, -gradient_exponent_, copy);
  gradient_.v = copy;
}

void ScaledSystem::write(const Destination& destination) const {
  write_multiple(gradient_exponent_ - (2 * (input_exponent_ + output_exponent_)), destination);
}

void ScaledSystem::write_image(const WeightView<float>& out) const {
  write_multiple(gradient_exponent_ + (2 * (input_exponent_ + output_exponent_)), {.out = out});
}

void ScaledSystem::write_multiple(int exponent, const Destination& destination) const {
  const WeightView<const float> x = destination_.out;
  const double factor = std::ldexp(destination.factor, exponent);
  const double kept = destination.keep == 0 ? 0 : std::abs(destination.keep) * largest_of(destination.out);
  if (!(all_finite(x.kernel.elements()) && all_finite(x.bias) &&
        (std::abs(factor) * largest_of(x)) + kept <= largest_float)) {
    throw expected(ErrorCode::not_finite, "a solution within the range of float32", "inputs, outputGrads and v",
                   "an overflow");
  }
  const auto add = [&](std::span<const float> from, std::span<float> to) {
    for (std::size_t i = 0; i < to.size(); ++i) {
      const double before = destination.keep == 0 ? 0 : destination.keep * static_cast<double>(to[i]);
      to[i] = static_cast<float>(before + (factor * static_cast<double>(from[i])));
    }
  };
  add(x.kernel.elements(), destination.out.kernel.elements());
  add(x.bias, destination.out.bias);
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
