#include "core/kernels/convolution.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "core/kernels/depthwise.h"
#include "core/threads/thread_pool.h"
#include "support/convolutions.h"
#include "support/reference.h"

using namespace cgfac;
using namespace cgfac::test;

namespace {

using Numbers = std::vector<float>;

Numbers empty(std::size_t size) {
  return Numbers(size, std::numeric_limits<float>::quiet_NaN());  // nothing of it may be read
}

// Outputs of an axis for zeros on both sides, as many after the last input as `after` says.
std::size_t outputs(std::size_t input, std::size_t kernel, std::size_t stride, std::size_t dilation, std::size_t before,
                    std::size_t after) {
  return ((input + before + after - ((kernel - 1) * dilation) - 1) / stride) + 1;
}

ConvGeometry geometry(std::size_t batch, std::size_t channels, std::size_t filters, Extents input, Extents kernel,
                      Extents stride = {1, 1, 1}, Extents dilation = {1, 1, 1}, Extents before = {0, 0, 0},
                      Extents after = {0, 0, 0}) {
  ConvGeometry g{.batch = batch,
                 .channels = channels,
                 .filters = filters,
                 .input = input,
                 .kernel = kernel,
                 .stride = stride,
                 .dilation = dilation,
                 .padding = before};
  for (std::size_t axis = 0; axis < 3; ++axis) {
    g.output[axis] = outputs(input[axis], kernel[axis], stride[axis], dilation[axis], before[axis], after[axis]);
  }
  return g;
}

// One number; one, two and three dimensions; padding that is uneven, wider than the kernel, or all that some patches
// see; strides beyond the kernel; pointwise; and what is cut: into parts, into blocks of filters, into groups of
// samples, into bands of rows, of columns and of planes.
const std::array<ConvGeometry, 15> geometries{
    geometry(1, 1, 1, {1, 1, 1}, {1, 1, 1}),
    geometry(2, 3, 2, {1, 1, 9}, {1, 1, 3}, {1, 1, 2}),
    geometry(3, 2, 4, {1, 5, 6}, {1, 3, 2}),
    geometry(2, 2, 3, {1, 6, 5}, {1, 3, 3}, {1, 2, 1}, {1, 1, 1}, {0, 1, 0}, {0, 1, 2}),
    geometry(2, 3, 2, {1, 8, 9}, {1, 3, 2}, {1, 1, 1}, {1, 2, 3}, {0, 2, 1}, {0, 2, 2}),
    geometry(1, 2, 2, {1, 4, 4}, {1, 2, 2}, {1, 3, 3}, {1, 1, 1}, {0, 3, 4}, {0, 3, 0}),
    geometry(2, 2, 3, {4, 3, 5}, {2, 3, 2}, {2, 1, 1}, {1, 1, 2}, {1, 1, 0}, {0, 1, 1}),
    geometry(2, 5, 7, {1, 4, 4}, {1, 1, 1}),
    geometry(2, 5, 7, {1, 5, 5}, {1, 1, 1}, {1, 2, 2}),
    geometry(40, 8, 16, {1, 14, 14}, {1, 3, 3}, {1, 1, 1}, {1, 1, 1}, {0, 1, 1}, {0, 1, 1}),
    geometry(2, 8, 300, {1, 12, 12}, {1, 3, 3}),
    geometry(1, 16, 16, {1, 60, 40}, {1, 3, 3}, {1, 2, 1}, {1, 2, 1}, {0, 2, 1}, {0, 1, 1}),
    geometry(1, 32, 32, {1, 3, 2000}, {1, 3, 5}, {1, 1, 2}),
    geometry(1, 8, 16, {40, 9, 9}, {3, 3, 3}, {1, 1, 1}, {1, 1, 1}, {1, 1, 1}, {1, 1, 1}),
    geometry(3, 64, 64, {1, 16, 16}, {1, 1, 1}),
};

// Sums of float32 products: at most 12000 of them, in chunks, of random signs.
constexpr double conv_tolerance = 2e-6;

// Runs `compute` with one, two and five threads, and has the bits compared.
template <typename Compute>
Numbers same_for_any_threads(std::size_t size, Compute compute) {
  const std::size_t before = ThreadPool::shared().size();
  std::vector<Numbers> results;
  for (const std::size_t threads : {1U, 2U, 5U}) {
    ThreadPool::shared().resize(threads);
    compute(results.emplace_back(empty(size)));
  }
  ThreadPool::shared().resize(before);
  for (const Numbers& result : results) {
    CHECK(std::memcmp(result.data(), results[0].data(), size * sizeof(float)) == 0);
  }
  return results[0];
}

}  // namespace

TEST_CASE("patches: what the taps of a position read, and zeros outside of the input") {
  for (const ConvGeometry& g : geometries) {
    const ConvProblem problem(g, g.channels);
    Numbers expected(g.rows() * g.patch());
    for_each_number(g, [&](std::size_t row, std::size_t tap, std::size_t place) {
      for (std::size_t c = 0; c < g.channels; ++c) {
        expected[(row * g.patch()) + (tap * g.channels) + c] = problem.x[(place * g.channels) + c];
      }
    });
    const std::size_t first = g.rows() / 3;
    Numbers patches = empty((g.rows() - first) * g.patch());
    gather_patches(g, problem.x, first, {patches.data(), g.rows() - first, g.patch()});
    CHECK(std::ranges::equal(patches, std::span(expected).subspan(first * g.patch())));
  }
}

TEST_CASE("convolution: both gradients are the sums over patches, with the same bits for any number of threads") {
  for (std::size_t which = 0; which < geometries.size(); ++which) {
    CAPTURE(which);
    const ConvGeometry& g = geometries[which];
    const ConvProblem problem(g, g.channels);
    const auto [dw, dx] = problem.gradients();
    const Numbers of_kernel =
        same_for_any_threads(dw.size(), [&](Numbers& out) { conv_kernel_gradient(g, problem.x, problem.dy, out); });
    const Numbers of_input =
        same_for_any_threads(dx.size(), [&](Numbers& out) { conv_input_gradient(g, problem.dy, problem.w, out); });
    CHECK(relative_error(of_kernel, dw) <= conv_tolerance);
    CHECK(relative_error(of_input, dx) <= conv_tolerance);
  }
}

TEST_CASE("convolution: products of patches, bias and activation, with the same bits for any number of threads") {
  for (std::size_t which = 0; which < geometries.size(); ++which) {
    CAPTURE(which);
    const ConvGeometry& g = geometries[which];
    const ConvProblem problem(g, g.channels);
    const Numbers bias = random_numbers<float>(g.filters, 4);
    Epilogue epilogue;
    epilogue.activation = Activation::relu;
    epilogue.bias = {.data = bias.data(), .col_step = 1};
    const std::vector<double> expected = problem.results(bias);
    const Numbers results = same_for_any_threads(
        expected.size(), [&](Numbers& out) { convolution(g, problem.x, problem.w, epilogue, out); });
    CHECK(relative_error(results, expected) <= conv_tolerance);
  }
}

TEST_CASE("convolution: what a tap outside of the input holds counts for nothing, be it NaN or infinity") {
  constexpr float infinity = std::numeric_limits<float>::infinity();
  const ConvGeometry g = geometry(1, 1, 1, {1, 1, 3}, {1, 1, 3}, {1, 1, 1}, {1, 1, 1}, {0, 0, 1}, {0, 0, 1});
  const std::array<float, 3> x{1, 2, 3};
  const std::array<float, 1> bias{10};
  std::array<float, 3> y{};
  convolution(g, x, std::array<float, 3>{infinity, 1, 0}, {}, y);
  CHECK(y == std::array<float, 3>{1, infinity, infinity});
  Epilogue biased;
  biased.bias = {.data = bias.data()};
  convolution(g, x, std::array<float, 3>{0, 1, std::numeric_limits<float>::quiet_NaN()}, biased, y);
  CHECK(std::isnan(y[0]));
  CHECK(std::isnan(y[1]));
  CHECK(y[2] == 13);
}

TEST_CASE("depthwise convolution: both gradients, for one filter of a channel and for several") {
  for (ConvGeometry g : geometries) {
    if (g.input[0] > 1) continue;
    for (const std::size_t multiplier : {1U, 3U}) {
      CAPTURE(multiplier);
      g.channels = std::min<std::size_t>(g.channels * 3, 40);  // whole lanes, and a rest
      g.filters = g.channels * multiplier;
      const ConvProblem problem(g, 1);
      const auto [dw, dx] = problem.gradients();
      const Numbers of_kernel = same_for_any_threads(
          dw.size(), [&](Numbers& out) { depthwise_kernel_gradient(g, problem.x, problem.dy, out); });
      const Numbers of_input = same_for_any_threads(
          dx.size(), [&](Numbers& out) { depthwise_input_gradient(g, problem.dy, problem.w, out); });
      CHECK(relative_error(of_kernel, dw) <= conv_tolerance);
      CHECK(relative_error(of_input, dx) <= conv_tolerance);
    }
  }
}
