#include "core/kernels/element_wise_gradient.h"

#include <algorithm>
#include <array>

#include "core/kernels/elementary.h"
#include "core/kernels/pieces.h"
#include "core/linalg/clones.h"
#include "core/threads/parallel.h"

namespace cgfac {
namespace {

// Numbers that are computed side by side: loops run over whole groups, so that each number takes the same instructions.
constexpr std::size_t gradient_lanes = 16;
// What a number costs, in flops of a matrix product: 0.3 ns.
constexpr double flops_of_gradient = 20;
// λ and λα of selu (G. Klambauer, T. Unterthiner, A. Mayr and S. Hochreiter, "Self-Normalizing Neural Networks", 2017).
constexpr float selu_scale = 1.0507009873554805F;
constexpr float selu_scale_alpha = 1.7580993408473768F;

// Numbers of dy, of what was saved, and where dx goes.
struct GradientRun {
  std::size_t count;
  const float* dy;
  const float* saved;
  float* dx;
};

// A plain loop for each function, so that it becomes vector instructions.
template <typename Function>
[[gnu::always_inline]] inline void each_gradient(const GradientRun& run, Function function) {
  const std::size_t count = run.count;
  const float* const dy = run.dy;
  const float* const saved = run.saved;
  float* const dx = run.dx;
#pragma omp simd
  for (std::size_t i = 0; i < count; ++i) dx[i] = function(dy[i], saved[i]);
}

CGFAC_CLONES void compute_gradient(ElementWiseGradient function, float first, float second, const GradientRun& run) {
  switch (function) {
    case ElementWiseGradient::multiply:
      each_gradient(run, [](float dy, float x) { return dy * x; });
      return;
    case ElementWiseGradient::square:
      each_gradient(run, [](float dy, float x) { return 2.0F * dy * x; });
      return;
    case ElementWiseGradient::tanh:
      each_gradient(run, [](float dy, float y) { return dy * (1.0F - (y * y)); });
      return;
    case ElementWiseGradient::sigmoid:
      each_gradient(run, [](float dy, float y) { return dy * (y * (1.0F - y)); });
      return;
    case ElementWiseGradient::relu:
      each_gradient(run, [](float dy, float x) { return x > 0.0F ? dy : 0.0F; });
      return;
    case ElementWiseGradient::relu6:
      each_gradient(run, [](float dy, float x) {
        const float above = x > 0.0F ? dy : 0.0F;
        return x <= 6.0F ? above : 0.0F;
      });
      return;
    case ElementWiseGradient::elu:
      each_gradient(run, [](float dy, float y) { return y >= 0.0F ? dy : dy * (y + 1.0F); });
      return;
    case ElementWiseGradient::selu:
      each_gradient(run, [](float dy, float x) {
        const float below = selu_scale_alpha * elementary::exp_negative(x > 0.0F ? 0.0F : x);
        return dy * (x > 0.0F ? selu_scale : below);
      });
      return;
    case ElementWiseGradient::softplus:
      each_gradient(run, [](float dy, float x) { return dy * elementary::sigmoid(x); });
      return;
    case ElementWiseGradient::leaky_relu:
      each_gradient(run, [first](float dy, float x) { return x > 0.0F ? dy : first * dy; });
      return;
    case ElementWiseGradient::clip:
      each_gradient(run, [first, second](float dy, float x) {
        const float above = x >= first ? dy : 0.0F;
        return x <= second ? above : 0.0F;
      });
      return;
  }
}

// Whole groups of numbers; the last of them, if it is not whole, filled up.
void run_gradient(ElementWiseGradient function, float first, float second, const GradientRun& run) {
  const std::size_t whole = run.count - (run.count % gradient_lanes);
  compute_gradient(function, first, second, {.count = whole, .dy = run.dy, .saved = run.saved, .dx = run.dx});
  if (whole == run.count) return;
  std::array<float, gradient_lanes> dy{};
  std::array<float, gradient_lanes> saved{};
  std::array<float, gradient_lanes> dx{};
  std::copy(run.dy + whole, run.dy + run.count, dy.begin());
  std::copy(run.saved + whole, run.saved + run.count, saved.begin());
  compute_gradient(function, first, second,
                   {.count = gradient_lanes, .dy = dy.data(), .saved = saved.data(), .dx = dx.data()});
  std::copy_n(dx.begin(), run.count - whole, run.dx + whole);
}

}  // namespace

void element_wise_gradient(ElementWiseGradient function, float first, float second, std::span<const float> dy,
                           std::span<const float> saved, std::span<float> dx) {
  const std::size_t groups = (dx.size() + gradient_lanes - 1) / gradient_lanes;
  const double flops = flops_of_gradient * static_cast<double>(dx.size());
  const std::size_t pieces = flops < worth_pieces ? 1 : most_pieces;
  parallel_for(pieces, flops, [&](std::size_t piece) {
    const std::size_t begin = gradient_lanes * cut(groups, piece, pieces);
    const std::size_t end = std::min(gradient_lanes * cut(groups, piece + 1, pieces), dx.size());
    run_gradient(
        function, first, second,
        {.count = end - begin, .dy = dy.data() + begin, .saved = saved.data() + begin, .dx = dx.data() + begin});
  });
}

}  // namespace cgfac
