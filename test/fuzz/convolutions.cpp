// Products, convolutions and pooling on small arrays of any numbers: results are right within the rounding of their
// sums where these stay in the range of float32, and nothing is read or written beyond an array.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/kernels/convolution.h"
#include "core/kernels/depthwise.h"
#include "core/kernels/head_fit.h"
#include "core/kernels/matrix_product.h"
#include "core/kernels/pooling.h"
#include "support/convolutions.h"
#include "support/draws.h"
#include "support/target.h"
#include "support/verdict.h"

namespace cgfac::fuzz {
namespace {

/// The largest size of a number for which sums of some hundred products of two stay in the range of float32.
constexpr float largest_factor = 1e18F;

bool moderate(std::span<const float> numbers) {
  return all_finite(numbers) &&
         std::ranges::all_of(numbers, [](float number) { return std::abs(number) <= largest_factor; });
}

/// ‖x − y‖ ≤ 2⁻²⁰ times the size of the sums, and what subnormal numbers round.
void require_sums(std::span<const float> found, std::span<const double> expected, double size, std::string_view what) {
  for (std::size_t i = 0; i < found.size(); ++i) {
    require_within(std::abs(static_cast<double>(found[i]) - expected[i]), (0x1p-20 * size) + (1000 * 0x1p-149), what);
  }
}

ConvGeometry drawn_geometry(Draws& draws) {
  ConvGeometry g{.batch = draws.size(3), .channels = draws.size(4), .filters = draws.size(4)};
  const std::size_t axes = draws.size(3);
  for (std::size_t axis = 3 - axes; axis < 3; ++axis) {
    g.kernel[axis] = draws.size(3);
    g.stride[axis] = draws.size(3);
    g.dilation[axis] = draws.size(2);
    g.padding[axis] = draws.below(3);
    const std::size_t reach = ((g.kernel[axis] - 1) * g.dilation[axis]) + 1;
    g.input[axis] = draws.size(5);
    const std::size_t padded = std::max(g.input[axis] + g.padding[axis] + draws.below(3), reach);
    g.output[axis] = ((padded - reach) / g.stride[axis]) + 1;
  }
  return g;
}

double norm_of(std::span<const float> x) {
  double sum = 0;
  for (const float each : x) sum += static_cast<double>(each) * static_cast<double>(each);
  return std::sqrt(sum);
}

void run_convolution(Draws& draws) {
  const ConvGeometry g = drawn_geometry(draws);
  test::ConvProblem problem(g, g.channels);
  problem.x = draws.numbers(problem.x.size());
  problem.w = draws.numbers(problem.w.size());
  problem.dy = draws.numbers(problem.dy.size());
  const std::vector<float> bias = draws.numbers(g.filters);
  Epilogue epilogue;
  epilogue.activation = Activation::relu;
  epilogue.bias = {.data = bias.data(), .col_step = 1};
  std::vector<float> y(g.rows() * g.filters);
  convolution(g, problem.x, problem.w, epilogue, y);
  std::vector<float> dw(problem.w.size());
  conv_kernel_gradient(g, problem.x, problem.dy, dw);
  std::vector<float> dx(problem.x.size());
  conv_input_gradient(g, problem.dy, problem.w, dx);
  if (!moderate(problem.x) || !moderate(problem.w) || !moderate(problem.dy) || !moderate(bias)) return;
  const double x = norm_of(problem.x);
  const double w = norm_of(problem.w);
  const double error = norm_of(problem.dy);
  require_sums(y, problem.results(bias), (x * w) + norm_of(bias), "the error of a convolution");
  const auto [of_kernel, of_input] = problem.gradients();
  require_sums(dw, of_kernel, x * error, "the error of a kernel's gradient");
  require_sums(dx, of_input, w * error, "the error of an input's gradient");
}

void run_depthwise(Draws& draws) {
  ConvGeometry g = drawn_geometry(draws);
  g.input[0] = g.output[0] = g.kernel[0] = g.stride[0] = g.dilation[0] = 1;
  g.padding[0] = 0;
  g.filters = g.channels * draws.size(3);
  test::ConvProblem problem(g, 1);
  problem.x = draws.numbers(problem.x.size());
  problem.w = draws.numbers(problem.w.size());
  problem.dy = draws.numbers(problem.dy.size());
  std::vector<float> dw(problem.w.size());
  depthwise_kernel_gradient(g, problem.x, problem.dy, dw);
  std::vector<float> dx(problem.x.size());
  depthwise_input_gradient(g, problem.dy, problem.w, dx);
  if (!moderate(problem.x) || !moderate(problem.w) || !moderate(problem.dy)) return;
  const auto [of_kernel, of_input] = problem.gradients();
  const double error = norm_of(problem.dy);
  require_sums(dw, of_kernel, norm_of(problem.x) * error, "the error of a kernel's gradient");
  require_sums(dx, of_input, norm_of(problem.w) * error, "the error of an input's gradient");
}

void run_pooling(Draws& draws) {
  ConvGeometry g = drawn_geometry(draws);
  g.filters = g.channels;
  const std::vector<float> x = draws.numbers(g.batch * volume_of(g.input) * g.channels);
  const std::vector<float> dy = draws.numbers(g.rows() * g.channels);
  std::vector<float> greatest(x.size());
  max_pool_gradient(g, x, dy, greatest);
  std::vector<float> average(x.size());
  average_pool_gradient(g, dy, average);
  if (!moderate(dy)) return;
  std::vector<double> expected(x.size());
  const double share = 1 / static_cast<double>(volume_of(g.kernel));
  test::for_each_number(g, [&](std::size_t row, std::size_t, std::size_t place) {
    for (std::size_t c = 0; c < g.channels; ++c)
      expected[(place * g.channels) + c] += share * static_cast<double>(dy[(row * g.channels) + c]);
  });
  require_sums(average, expected, norm_of(dy), "the error of an average's gradient");
  double sum = 0;
  for (const float each : greatest) sum += std::abs(static_cast<double>(each));
  double size = 0;
  for (const float each : dy) size += std::abs(static_cast<double>(each));
  require_within(sum, size * (1 + 0x1p-16), "what a maximum passes on beside what came");
}

void run_products(Draws& draws) {
  const std::size_t m = draws.size(6);
  const std::size_t n = draws.size(6);
  const std::size_t k = draws.size(6);
  const bool transpose_a = draws.flag();
  const bool transpose_b = draws.flag();
  const std::vector<float> a = draws.numbers(2 * m * k);
  const std::vector<float> b = draws.numbers(k * n);
  const std::vector<float> bias = draws.numbers(n);
  const MatrixView<const float> left(a.data(), transpose_a ? k : m, transpose_a ? m : k);
  const MatrixView<const float> right(b.data(), transpose_b ? n : k, transpose_b ? k : n);
  const MatrixBatch as{.first = transpose_a ? left.transposed() : left, .step = m * k};
  const MatrixBatch bs{.first = transpose_b ? right.transposed() : right, .step = k * n};
  constexpr std::array pairs{MatrixPair{.a = 1, .b = 0}, MatrixPair{.a = 0, .b = 0}};
  const bool positive = draws.flag();
  const Epilogue epilogue{.bias = {.data = bias.data(), .col_step = 1},
                          .activation = positive ? Activation::relu : Activation::linear};
  std::vector<float> out(pairs.size() * m * n);
  matrix_products(as, bs, pairs, epilogue, out);
  if (!moderate(a) || !moderate(b) || !moderate(bias)) return;
  std::vector<double> expected;
  for (const MatrixPair& pair : pairs) {
    const MatrixView<const float> x = as.at(pair.a);
    const MatrixView<const float> y = bs.at(pair.b);
    for (std::size_t i = 0; i < m; ++i) {
      for (std::size_t j = 0; j < n; ++j) {
        auto sum = static_cast<double>(bias[j]);
        for (std::size_t l = 0; l < k; ++l) sum += static_cast<double>(x(i, l)) * static_cast<double>(y(l, j));
        expected.push_back(positive ? std::max(sum, 0.0) : sum);
      }
    }
  }
  require_sums(out, expected, (norm_of(a) * norm_of(b)) + norm_of(bias), "the error of a product");
}

void run_heads(Draws& draws) {
  const std::size_t groups = draws.size(2);
  const std::size_t rows = groups * draws.size(4);
  const std::size_t width = draws.size(5);
  const auto distribution =
      draws.among(std::array{Distribution::categorical, Distribution::bernoulli, Distribution::gaussian});
  const std::vector<float> p = draws.numbers(rows * width);
  const std::vector<float> y = draws.numbers(rows * width);
  const std::vector<float> d = draws.numbers(rows * width);
  const std::vector<float> weights = draws.numbers(groups);
  const HeadNumbers head{.distribution = distribution,
                         .probabilities = {p.data(), rows, width},
                         .targets = {y.data(), rows, width},
                         .weights = weights};
  const HeadFit fit = fit_head(head, {d.data(), rows, width});
  const TargetEntropy entropy = target_entropy(head);
  require(fit.count <= rows * width, "no more numbers are compared than there are");
  if (!moderate(p) || !moderate(y) || !moderate(d) || !moderate(weights)) return;
  FitSums sums;
  for (std::size_t i = 0; i < rows * width; ++i) {
    const auto gradient = static_cast<double>(d[i]);
    const double error = static_cast<double>(weights[i / (rows / groups * width)]) *
                         (static_cast<double>(p[i]) - static_cast<double>(y[i]));
    sums.dd += gradient * gradient;
    sums.de += gradient * error;
    sums.ee += error * error;
  }
  const double dd = fit.compared.dd + fit.left_out.dd;
  const double de = fit.compared.de + fit.left_out.de;
  const double ee = fit.compared.ee + fit.left_out.ee;
  require_within(std::abs(dd - sums.dd), 1e-6 * sums.dd, "the error of Σ d²");
  require_within(std::abs(de - sums.de), 1e-5 * std::sqrt(sums.dd) * std::sqrt(sums.ee), "the error of Σ d·e");
  require_within(std::abs(ee - sums.ee), 1e-5 * sums.ee, "the error of Σ e²");
  const bool probabilities = std::ranges::all_of(y, [](float each) { return each >= 0 && each <= 1; });
  require(!probabilities || std::isfinite(entropy.sum), "the entropy of probabilities is a number");
}

}  // namespace

void run(Draws draws) {
  constexpr std::array kernels{run_convolution, run_depthwise, run_pooling, run_products, run_heads};
  kernels[draws.below(kernels.size())](draws);
}

}  // namespace cgfac::fuzz
