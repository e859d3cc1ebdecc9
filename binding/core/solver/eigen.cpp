#include "core/solver/eigen.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "core/base/error.h"
#include "core/block/finite.h"
#include "core/block/weight_vector.h"
#include "core/linalg/blas.h"
#include "core/linalg/lapack.h"
#include "core/linalg/tiles.h"
#include "core/threads/parallel.h"

namespace cgfac {
namespace {

double trace_of(MatrixView<const float> x) {
  double sum = 0;
  for (std::size_t i = 0; i < x.rows; ++i) sum += static_cast<double>(x(i, i));
  return sum;
}

// factor ← decay · factor + (1 − decay) · scale · R'ᵀR'
void average(const Side& side, double decay, MatrixView<float> factor) {
  const MatrixView<const float> x = side.rows.transposed();
  const std::size_t d = x.rows;
  const double scale = side.scale * (1 - decay);
  const auto keep = static_cast<float>(decay);
  const MatrixView<float> body(factor.data, d, d, factor.row_stride, 1);
  const Split split = Split::columns(d, static_cast<double>(d) * static_cast<double>(x.size()));
  const std::size_t last_piece = split.blocks() - 1;
  parallel_for(split.blocks(), [&](std::size_t i) {  // the longest rows first
    blas::gram_rows(static_cast<float>(scale), x, keep, body, split.first(last_piece - i), split.count(last_piece - i));
  });
  if (!side.homogeneous) return;
  for (std::size_t j = 0; j < d; ++j) {
    double sum = 0;
    for (std::size_t i = 0; i < side.count(); ++i) sum += static_cast<double>(x(j, i));
    factor(d, j) = (decay == 0 ? 0.0F : keep * factor(d, j)) + static_cast<float>(scale * sum);
  }
  factor(d, d) =
      (decay == 0 ? 0.0F : keep * factor(d, d)) + static_cast<float>(scale * static_cast<double>(side.count()));
}

void clamp_to_zero(std::span<float> values) {
  for (float& value : values) value = std::max(value, 0.0F);
}

}  // namespace

BlockTraces DirectKfac::traces_with(const BlockTraces& batch) const {
  if (steps_ % options_.factor_update_steps != 0) return traces_;
  const double decay = steps_ == 0 ? 0 : options_.factor_decay;
  const auto average = [&](double old, double fresh) { return (decay * old) + ((1 - decay) * fresh); };
  return {.input = average(traces_.input, batch.input), .output = average(traces_.output, batch.output)};
}

void DirectKfac::update(const FisherBlock& block) {
  const std::size_t m = block.rows();
  const std::size_t n = block.cols();
  const MatrixView<float> a = input_factor_.matrix(n, n);
  const MatrixView<float> g = output_factor_.matrix(m, m);
  const double decay = steps_ == 0 ? 0 : options_.factor_decay;
  if (steps_ == 0) {  // the upper triangles stay zero
    std::ranges::fill(a.elements(), 0.0F);
    std::ranges::fill(g.elements(), 0.0F);
  }
  if (steps_ % options_.factor_update_steps == 0) {
    average(block.input, decay, a);
    average(block.output, decay, g);
    traces_ = {.input = trace_of(a), .output = trace_of(g)};
    if (!std::isfinite(traces_.input + traces_.output)) {
      throw expected(ErrorCode::not_finite, "squares within the range of float32", "inputs and outputGrads",
                     "an overflow");
    }
  }
  if (steps_ % options_.inverse_update_steps == 0) {
    const MatrixView<float> input = input_vectors_.matrix(n, n);
    const MatrixView<float> output = output_vectors_.matrix(m, m);
    const std::span<float> input_values = input_values_.span(n);
    const std::span<float> output_values = output_values_.span(m);
    const std::size_t input_work = blas::eigen_work(n);
    const std::span<float> work = work_.span(input_work + blas::eigen_work(m));
    parallel_for(2, 20 * static_cast<double>((m * m * m) + (n * n * n)), [&](std::size_t i) {
      if ((i == 0) == (n >= m)) {
        std::ranges::copy(a.elements(), input.data);
        blas::eigen(input, input_values, work.first(input_work));
        clamp_to_zero(input_values);
      } else {
        std::ranges::copy(g.elements(), output.data);
        blas::eigen(output, output_values, work.subspan(input_work));
        clamp_to_zero(output_values);
      }
    });
  }
  ++steps_;
}

SolutionProducts DirectKfac::precondition(const FisherBlock& block, const Inverse& inverse,
                                          const WeightView<const float>& v, const Destination& destination) {
  const std::size_t m = block.rows();
  const std::size_t n = block.cols();
  const std::size_t in_features = block.input.rows.cols;
  const double v_norm2 = dot(v, v);
  if (!std::isfinite(v_norm2)) throw_not_finite(block, "v", v);
  const MatrixView<const float> input = input_vectors_.matrix(n, n);
  const MatrixView<const float> output = output_vectors_.matrix(m, m);
  const std::span<const float> input_values = input_values_.span(n);
  const std::span<const float> output_values = output_values_.span(m);
  const std::span<float> memory = work_.span(2 * m * n);
  const MatrixView<float> x(memory.data(), m, n);
  const MatrixView<float> product(memory.data() + (m * n), m, n);

  // v̂ = Q_gᵀ v Q_a
  gemm_in_tiles(1.0F, v.kernel, input.columns(0, in_features).transposed(), 0.0F, product);
  if (!v.bias.empty()) {
    const MatrixView<const float> bias(v.bias.data(), m, 1);
    gemm_in_tiles(1.0F, bias, input.columns(in_features, 1).transposed(), 1.0F, product);
  }
  gemm_in_tiles(1.0F, output, product, 0.0F, x);

  const Split split = Split::rows(m, n);
  std::array<SolutionProducts, Split::most_row_blocks> partial{};
  parallel_for(split.blocks(), [&](std::size_t piece) {
    SolutionProducts sums{.vx = 0, .xfx = 0, .xx = 0};
    for (std::size_t i = split.first(piece); i < split.first(piece + 1); ++i) {
      const auto e_g = static_cast<double>(output_values[i]);
      for (std::size_t j = 0; j < n; ++j) {
        const auto e_a = static_cast<double>(input_values[j]);
        const double denominator = inverse.factored != nullptr
                                       ? (e_g + inverse.factored->output) * (e_a + inverse.factored->input)
                                       : (e_g * e_a) + inverse.damping;
        const auto coordinate = static_cast<double>(x(i, j));
        const double solution = coordinate / denominator;
        sums.vx += coordinate * solution;
        sums.xfx += e_g * e_a * solution * solution;
        sums.xx += solution * solution;
        x(i, j) = static_cast<float>(solution);
      }
    }
    partial[piece] = sums;
  });
  SolutionProducts products{.vx = 0, .xfx = 0, .xx = 0};
  for (std::size_t piece = 0; piece < split.blocks(); ++piece) {
    products.vx += partial[piece].vx;
    products.xfx += partial[piece].xfx;
    products.xx += partial[piece].xx;
  }
  if (!(std::sqrt(products.xx) * std::max(1.0, std::abs(destination.factor)) <= largest_norm)) {
    throw expected(ErrorCode::not_finite, "a solution within the range of float32", "inputs, outputGrads and v",
                   "an overflow");
  }

  gemm_in_tiles(1.0F, output.transposed(), x, 0.0F, product);
  const auto factor = static_cast<float>(destination.factor);
  const auto keep = static_cast<float>(destination.keep);
  gemm_in_tiles(factor, product, input.columns(0, in_features), keep, destination.out.kernel);
  if (!destination.out.bias.empty()) {
    gemm_in_tiles(factor, product, input.columns(in_features, 1), keep, {destination.out.bias.data(), m, 1});
  }
  return products;
}

DirectKfacState DirectKfac::state(std::size_t m, std::size_t n) const {
  if (steps_ == 0) return {};
  const auto copy = [](const Buffer<float>& from, std::size_t size) {
    const std::span<float> numbers = from.held(size);
    return std::vector<float>(numbers.begin(), numbers.end());
  };
  return {.steps = steps_,
          .traces = traces_,
          .input_factor = copy(input_factor_, n * n),
          .output_factor = copy(output_factor_, m * m),
          .input_vectors = copy(input_vectors_, n * n),
          .output_vectors = copy(output_vectors_, m * m),
          .input_values = copy(input_values_, n),
          .output_values = copy(output_values_, m)};
}

void DirectKfac::restore(const DirectKfacState& state, std::size_t m, std::size_t n) {
  const std::size_t squares = state.steps > 0 ? 1 : 0;
  const auto check = [&](const std::vector<float>& numbers, std::size_t size) {
    if (numbers.size() != squares * size)
      throw expected(ErrorCode::shape_mismatch, "the state of a layer like this one", "state", "another");
    require_finite("the factors of a state", numbers);
  };
  check(state.input_factor, n * n);
  check(state.output_factor, m * m);
  check(state.input_vectors, n * n);
  check(state.output_vectors, m * m);
  check(state.input_values, n);
  check(state.output_values, m);
  const auto take = [](const std::vector<float>& from, Buffer<float>& to) {
    std::ranges::copy(from, to.span(from.size()).data());
  };
  take(state.input_factor, input_factor_);
  take(state.output_factor, output_factor_);
  take(state.input_vectors, input_vectors_);
  take(state.output_vectors, output_vectors_);
  take(state.input_values, input_values_);
  take(state.output_values, output_values_);
  steps_ = state.steps;
  traces_ = state.traces;
}

void DirectKfac::reset() {
  steps_ = 0;
}

std::size_t DirectKfac::bytes() const {
  return input_factor_.bytes() + output_factor_.bytes() + input_vectors_.bytes() + output_vectors_.bytes() +
         input_values_.bytes() + output_values_.bytes() + work_.bytes();
}

}  // namespace cgfac
