#include "core/kernels/element_wise.h"

#include <algorithm>
#include <array>

#include "core/kernels/elementary.h"
#include "core/kernels/pieces.h"
#include "core/linalg/clones.h"
#include "core/threads/parallel.h"

namespace cgfac {
namespace {

// Numbers that are computed side by side: loops run over whole groups, so that each number takes the same instructions.
constexpr std::size_t lanes = 16;
// What a number costs, in flops of a matrix product: 0.3 ns.
constexpr double flops_of_number = 20;

CGFAC_CLONES void exp_all(std::size_t count, const float* x, float* y) {
#pragma omp simd
  for (std::size_t i = 0; i < count; ++i) y[i] = elementary::exp(x[i]);
}

CGFAC_CLONES void expm1_all(std::size_t count, const float* x, float* y) {
#pragma omp simd
  for (std::size_t i = 0; i < count; ++i) y[i] = elementary::expm1(x[i]);
}

CGFAC_CLONES void log_all(std::size_t count, const float* x, float* y) {
#pragma omp simd
  for (std::size_t i = 0; i < count; ++i) y[i] = elementary::log(x[i]);
}

CGFAC_CLONES void log1p_all(std::size_t count, const float* x, float* y) {
#pragma omp simd
  for (std::size_t i = 0; i < count; ++i) y[i] = elementary::log1p(x[i]);
}

CGFAC_CLONES void tanh_all(std::size_t count, const float* x, float* y) {
#pragma omp simd
  for (std::size_t i = 0; i < count; ++i) y[i] = elementary::tanh(x[i]);
}

CGFAC_CLONES void sigmoid_all(std::size_t count, const float* x, float* y) {
#pragma omp simd
  for (std::size_t i = 0; i < count; ++i) y[i] = elementary::sigmoid(x[i]);
}

CGFAC_CLONES void elu_all(std::size_t count, const float* x, float* y) {
#pragma omp simd
  for (std::size_t i = 0; i < count; ++i) y[i] = elementary::elu(x[i]);
}

CGFAC_CLONES void softplus_all(std::size_t count, const float* x, float* y) {
#pragma omp simd
  for (std::size_t i = 0; i < count; ++i) y[i] = elementary::softplus(x[i]);
}

CGFAC_CLONES void erf_all(std::size_t count, const float* x, float* y) {
#pragma omp simd
  for (std::size_t i = 0; i < count; ++i) y[i] = elementary::erf(x[i]);
}

CGFAC_CLONES void sqrt_all(std::size_t count, const float* x, float* y) {
#pragma omp simd
  for (std::size_t i = 0; i < count; ++i) y[i] = elementary::sqrt(x[i]);
}

CGFAC_CLONES void rsqrt_all(std::size_t count, const float* x, float* y) {
#pragma omp simd
  for (std::size_t i = 0; i < count; ++i) y[i] = elementary::rsqrt(x[i]);
}

using Loop = void (*)(std::size_t, const float*, float*);

Loop loop_of(ElementWise function) {
  switch (function) {
    case ElementWise::exp:
      return exp_all;
    case ElementWise::expm1:
      return expm1_all;
    case ElementWise::log:
      return log_all;
    case ElementWise::log1p:
      return log1p_all;
    case ElementWise::tanh:
      return tanh_all;
    case ElementWise::sigmoid:
      return sigmoid_all;
    case ElementWise::elu:
      return elu_all;
    case ElementWise::softplus:
      return softplus_all;
    case ElementWise::erf:
      return erf_all;
    case ElementWise::sqrt:
      return sqrt_all;
    case ElementWise::rsqrt:
      break;
  }
  return rsqrt_all;
}

// Whole groups of lanes of x; the last of them, if it is not whole, filled up.
void run(Loop loop, std::size_t count, const float* x, float* y) {
  const std::size_t whole = count - (count % lanes);
  loop(whole, x, y);
  if (whole == count) return;
  std::array<float, lanes> last{};
  std::copy(x + whole, x + count, last.begin());
  loop(lanes, last.data(), last.data());
  std::copy_n(last.begin(), count - whole, y + whole);
}

}  // namespace

void element_wise(ElementWise function, std::span<const float> x, std::span<float> y) {
  const Loop loop = loop_of(function);
  const std::size_t groups = (x.size() + lanes - 1) / lanes;
  const double flops = flops_of_number * static_cast<double>(x.size());
  const std::size_t pieces = flops < worth_pieces ? 1 : most_pieces;
  parallel_for(pieces, flops, [&](std::size_t piece) {
    const std::size_t begin = lanes * cut(groups, piece, pieces);
    const std::size_t end = std::min(lanes * cut(groups, piece + 1, pieces), x.size());
    run(loop, end - begin, x.data() + begin, y.data() + begin);
  });
}

void element_wise_here(ElementWise function, std::span<const float> x, std::span<float> y) {
  run(loop_of(function), x.size(), x.data(), y.data());
}

}  // namespace cgfac
