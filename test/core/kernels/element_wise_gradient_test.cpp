#include "core/kernels/element_wise_gradient.h"

#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

#include "core/threads/thread_pool.h"
#include "support/reference.h"

using namespace cgfac;
using namespace cgfac::test;

namespace {

constexpr double selu_lambda = 1.0507009873554805;
constexpr double selu_alpha = 1.6732632423543772;

// f′ in double precision, from what is saved.
struct GradientCase {
  const char* name;
  ElementWiseGradient function;
  double (*slope)(double);
};

constexpr std::array<GradientCase, 11> gradient_cases{
    {{"multiply", ElementWiseGradient::multiply, [](double x) { return x; }},
     {"square", ElementWiseGradient::square, [](double x) { return 2 * x; }},
     {"tanh", ElementWiseGradient::tanh, [](double y) { return 1 - (y * y); }},
     {"sigmoid", ElementWiseGradient::sigmoid, [](double y) { return y * (1 - y); }},
     {"relu", ElementWiseGradient::relu, [](double x) { return x > 0 ? 1.0 : 0.0; }},
     {"relu6", ElementWiseGradient::relu6, [](double x) { return x > 0 && x <= 6 ? 1.0 : 0.0; }},
     {"elu", ElementWiseGradient::elu, [](double y) { return y >= 0 ? 1 : y + 1; }},
     {"selu", ElementWiseGradient::selu, [](double x) { return selu_lambda * (x > 0 ? 1 : selu_alpha * std::exp(x)); }},
     {"softplus", ElementWiseGradient::softplus, [](double x) { return 1 / (1 + std::exp(-x)); }},
     {"leaky_relu", ElementWiseGradient::leaky_relu, [](double x) { return x > 0 ? 1 : -0.5; }},
     {"clip", ElementWiseGradient::clip, [](double x) { return x >= -0.5 && x <= 1.5 ? 1.0 : 0.0; }}}};

// The bounds of clip; the first is the slope of leaky_relu.
constexpr float first_bound = -0.5F;
constexpr float second_bound = 1.5F;

std::vector<float> gradients_of(ElementWiseGradient function, const std::vector<float>& dy,
                                const std::vector<float>& saved) {
  std::vector<float> dx(dy.size(), -7.0F);
  element_wise_gradient(function, first_bound, second_bound, dy, saved, dx);
  return dx;
}

}  // namespace

TEST_CASE("gradients of functions of each number are those of their formulas, at bounds too") {
  // whole groups of 16 and what is left over; 0, −0, the bounds of clip and of relu6 among what is saved
  std::vector<float> saved{0.0F, -0.0F, first_bound, second_bound, 6.0F, 6.5F, -30.0F, 30.0F};
  std::vector<float> dy;
  for (int i = 0; i < 51; ++i) saved.push_back((static_cast<float>(i) / 10) - 2.5F);
  for (std::size_t i = 0; i < saved.size(); ++i) dy.push_back((static_cast<float>(i % 7) / 3) - 1);
  for (const GradientCase& tested : gradient_cases) {
    CAPTURE(tested.name);
    const std::vector<float> dx = gradients_of(tested.function, dy, saved);
    for (std::size_t i = 0; i < saved.size(); ++i) {
      CAPTURE(saved[i]);
      const double slope = tested.slope(static_cast<double>(saved[i]));
      const double exact = static_cast<double>(dy[i]) * slope;
      // three roundings, each of numbers that are no larger than 1 + y² or the slope; exp within 3 units
      const double size = std::fabs(static_cast<double>(dy[i])) *
                          (std::fabs(slope) + (tested.function == ElementWiseGradient::tanh ||
                                                       tested.function == ElementWiseGradient::sigmoid
                                                   ? std::pow(static_cast<double>(saved[i]), 2)
                                                   : 0));
      CHECK(std::fabs(static_cast<double>(dx[i]) - exact) <=
            6 * static_cast<double>(std::numeric_limits<float>::epsilon()) * size);
    }
  }
}

TEST_CASE("gradients have the same bits at every place and with any number of threads, and NaN stays") {
  const auto numbers = [](std::size_t i) { return (static_cast<float>(i % 97) / 24) - 2; };
  std::vector<float> saved(200'003);
  std::vector<float> dy(saved.size());
  for (std::size_t i = 0; i < saved.size(); ++i) saved[i] = numbers(i);
  for (std::size_t i = 0; i < saved.size(); ++i) dy[i] = numbers(i);
  const std::size_t before = ThreadPool::shared().size();
  for (const GradientCase& tested : gradient_cases) {
    CAPTURE(tested.name);
    ThreadPool::shared().resize(1);
    const std::vector<float> one = gradients_of(tested.function, dy, saved);
    ThreadPool::shared().resize(3);
    CHECK(gradients_of(tested.function, dy, saved) == one);
    for (std::size_t i = 97; i < one.size(); ++i) REQUIRE(one[i] == one[i - 97]);
    const float lost = std::numeric_limits<float>::quiet_NaN();
    CHECK(std::isnan(gradients_of(tested.function, {lost}, {1.0F})[0]));
  }
  ThreadPool::shared().resize(before);
}
