#include "core/solver/eigen.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "core/base/error.h"
#include "core/block/comfort.h"
#include "core/block/finite.h"
#include "core/block/powers.h"
#include "core/block/solution.h"
#include "core/block/weight_vector.h"
#include "core/linalg/blas.h"
#include "core/linalg/lapack.h"
#include "core/linalg/symmetric.h"
#include "core/linalg/tiles.h"
#include "core/operator/gram_problem.h"
#include "core/threads/parallel.h"

namespace cgfac {
namespace {

void decompose_one(MatrixView<const float> factor, MatrixView<float> vectors, std::span<float> values,
                   std::span<float> work) {
  std::ranges::copy(factor.elements(), vectors.data);
  blas::eigen(vectors, values, work);
  for (float& value : values) value = std::max(value, 0.0F);
}

// Partial sums in the order of the pieces
SolutionProducts sum_of(std::span<const SolutionProducts> partial) {
  SolutionProducts products{.vx = 0, .xfx = 0, .xx = 0};
  for (const SolutionProducts& each : partial) {
    products.vx += each.vx;
    products.xfx += each.xfx;
    products.xx += each.xx;
  }
  return products;
}

// out ← keep·out + factor · product Q_a
void multiply(MatrixView<const float> product, MatrixView<const float> input, const Destination& to) {
  const auto factor = static_cast<float>(to.factor);
  const auto keep = static_cast<float>(to.keep);
  const std::size_t in_features = to.out.kernel.cols;
  gemm_in_tiles(factor, product, input.columns(0, in_features), keep, to.out.kernel);
  if (to.out.bias.empty()) return;
  gemm_in_tiles(factor, product, input.columns(in_features, 1), keep, {to.out.bias.data(), product.rows, 1});
}

}  // namespace

void EigenBases::decompose(MatrixView<const float> input, MatrixView<const float> output) {
  const std::size_t n = input.rows;
  const std::size_t m = output.rows;
  can_roll_back_ = false;
  const MatrixView<float> input_vectors = other_.input_vectors.matrix(n, n);
  const MatrixView<float> output_vectors = other_.output_vectors.matrix(m, m);
  const std::span<float> input_values = other_.input_values.span(n);
  const std::span<float> output_values = other_.output_values.span(m);
  const std::size_t input_work = blas::eigen_work(n);
  const std::span<float> work = work_.span(input_work + blas::eigen_work(m));
  parallel_for(2, 20 * static_cast<double>((m * m * m) + (n * n * n)), [&](std::size_t i) {
    if ((i == 0) == (n >= m)) {
      decompose_one(input, input_vectors, input_values, work.first(input_work));
    } else {
      decompose_one(output, output_vectors, output_values, work.subspan(input_work));
    }
  });
  other_.m = m;
  other_.n = n;
  std::swap(now_, other_);
  can_roll_back_ = true;
}

void EigenBases::roll_back() {
  if (!can_roll_back_) return;
  std::swap(now_, other_);
  can_roll_back_ = false;
}

SolutionProducts EigenBases::divide(MatrixView<float> x, const EigenDamping& damping, double unit) const {
  const std::span<const float> input_values = this->input_values();
  const std::span<const float> output_values = this->output_values();
  const Split split = Split::rows(x.rows, x.cols);
  std::array<SolutionProducts, Split::most_row_blocks> partial{};
  parallel_for(split.blocks(), [&](std::size_t piece) {
    SolutionProducts sums{.vx = 0, .xfx = 0, .xx = 0};
    for (std::size_t i = split.first(piece); i < split.first(piece + 1); ++i) {
      const auto e_g = static_cast<double>(output_values[i]);
      for (std::size_t j = 0; j < x.cols; ++j) {
        const auto e_a = static_cast<double>(input_values[j]);
        const double denominator = damping.factored ? (e_g + damping.factored->output) * (e_a + damping.factored->input)
                                                    : (e_g * e_a) + damping.lambda;
        const auto coordinate = static_cast<double>(x(i, j));
        const double solution = coordinate / denominator;
        sums.vx += coordinate * solution;
        sums.xfx += e_g * e_a * solution * solution;
        sums.xx += solution * solution;
        x(i, j) = static_cast<float>(unit * solution);
      }
    }
    partial[piece] = sums;
  });
  return sum_of(std::span(partial).first(split.blocks()));
}

SolutionProducts EigenBases::precondition(const FisherBlock& block, const EigenDamping& damping,
                                          const WeightView<const float>& v, const Destination& destination) {
  const std::size_t m = block.rows();
  const std::size_t n = block.cols();
  const std::size_t in_features = block.input.features();
  const double v_norm2 = dot(v, v);
  if (!std::isfinite(v_norm2)) throw_not_finite(block, "v", v);
  const MatrixView<const float> input = now_.input_vectors.held_matrix(n, n);
  const MatrixView<const float> output = now_.output_vectors.held_matrix(m, m);
  const std::span<float> memory = work_.span(2 * m * n);
  const MatrixView<float> x(memory.data(), m, n);
  const MatrixView<float> product(memory.data() + (m * n), m, n);

  // v̂ = Q_g v' Q_aᵀ, v = 2^exponent v'
  int exponent = comfortable_square(v_norm2) ? 0 : root_exponent(v_norm2);
  WeightView<const float> scaled = v;
  if (exponent != 0) {
    const WeightView<float> copy = block.view(memory.first(m * n));
    copy_scaled(v, -exponent, copy);
    scaled = copy;
  }
  gemm_in_tiles(1.0F, scaled.kernel, input.columns(0, in_features).transposed(), 0.0F, product);
  if (!scaled.bias.empty()) {
    const MatrixView<const float> bias(scaled.bias.data(), m, 1);
    gemm_in_tiles(1.0F, bias, input.columns(in_features, 1).transposed(), 1.0F, product);
  }
  gemm_in_tiles(1.0F, output, product, 0.0F, x);
  const SolutionProducts own = divide(x, damping, 1);
  const SolutionProducts products{.vx = std::ldexp(own.vx, 2 * exponent),
                                  .xfx = std::ldexp(own.xfx, 2 * exponent),
                                  .xx = std::ldexp(own.xx, 2 * exponent)};
  const double norm = std::sqrt(products.xx);
  if (!(norm * std::max(1.0, std::abs(destination.factor)) <= largest_norm)) {
    throw expected(ErrorCode::not_finite, "a solution within the range of float32", "inputs, outputGrads and v",
                   "an overflow");
  }
  require_sum_in_range(destination, norm * std::abs(destination.factor));
  if (!comfortable_square(own.xx)) {  // x was none that float32 holds: 2^-shift x' is
    const int shift = root_exponent(own.xx);
    gemm_in_tiles(1.0F, output, product, 0.0F, x);
    (void)divide(x, damping, std::ldexp(1.0, -shift));
    exponent += shift;
  }
  gemm_in_tiles(1.0F, output.transposed(), x, 0.0F, product);
  const bool direct = exponent == 0 && (destination.factor == 0 || std::abs(std::ilogb(destination.factor)) < 60);
  if (direct) {
    multiply(product, input, destination);
  } else {  // sums near the ends of float32 would be rounded at every term: x' is multiplied once it is whole
    const WeightView<float> whole = block.view(memory.first(m * n));
    multiply(product, input, {.out = whole});
    write_scaled(whole, exponent, destination);
  }
  return products;
}

EigenState EigenBases::state() const {
  const auto copy = [](const Buffer<float>& from, std::size_t size) {
    const std::span<float> numbers = from.held(size);
    return std::vector<float>(numbers.begin(), numbers.end());
  };
  return {.input_vectors = copy(now_.input_vectors, now_.n * now_.n),
          .output_vectors = copy(now_.output_vectors, now_.m * now_.m),
          .input_values = copy(now_.input_values, now_.n),
          .output_values = copy(now_.output_values, now_.m)};
}

void EigenBases::restore(const EigenState& state, std::size_t m, std::size_t n, bool begun) {
  const auto check = [&](const std::vector<float>& numbers, std::size_t size) {
    if (numbers.size() != (begun ? size : 0))
      throw expected(ErrorCode::shape_mismatch, "the state of a layer like this one", "state", "another");
    require_finite("the factors of a state", numbers);
  };
  check(state.input_vectors, n * n);
  check(state.output_vectors, m * m);
  check(state.input_values, n);
  check(state.output_values, m);
  const auto take = [](const std::vector<float>& from, Buffer<float>& to) {
    std::ranges::copy(from, to.span(from.size()).data());
  };
  take(state.input_vectors, now_.input_vectors);
  take(state.output_vectors, now_.output_vectors);
  take(state.input_values, now_.input_values);
  take(state.output_values, now_.output_values);
  now_.n = begun ? n : 0;
  now_.m = begun ? m : 0;
  settle();
}

void EigenBases::reset() {
  now_.m = now_.n = 0;
  settle();
}

std::size_t EigenBases::bytes() const {
  std::size_t sum = work_.bytes();
  for (const Bases* bases : {&now_, &other_}) {
    sum += bases->input_vectors.bytes() + bases->output_vectors.bytes() + bases->input_values.bytes() +
           bases->output_values.bytes();
  }
  return sum;
}

}  // namespace cgfac
