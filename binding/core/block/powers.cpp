#include "core/block/powers.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>

#include "core/base/error.h"
#include "core/block/finite.h"

namespace cgfac {
namespace {

constexpr auto largest_float = static_cast<double>(std::numeric_limits<float>::max());
// Beside any finite number of float32 a smaller one rounds away.
constexpr double negligible_beside_largest = 0x1p100;

float times_power(float x, int exponent) {
  return static_cast<float>(std::ldexp(static_cast<double>(x), exponent));
}

double largest_of(const WeightView<const float>& x) {
  double largest = 0;
  for (const float element : x.kernel.elements()) largest = std::max(largest, std::abs(static_cast<double>(element)));
  for (const float element : x.bias) largest = std::max(largest, std::abs(static_cast<double>(element)));
  return largest;
}

[[noreturn]] void throw_beyond(std::string_view what) {
  throw expected(ErrorCode::not_finite, what, "inputs, outputGrads and v", "an overflow");
}

}  // namespace

int root_exponent(double x) {
  return x > 0 ? std::ilogb(x) / 2 : 0;
}

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

void write_scaled(const WeightView<const float>& x, int exponent, const Destination& destination,
                  std::string_view what) {
  const double factor = std::ldexp(destination.factor, exponent);
  if (!(all_finite(x.kernel.elements()) && all_finite(x.bias))) throw_beyond(what);
  const double largest = std::abs(factor) * largest_of(x);
  if (!(largest <= largest_float)) throw_beyond(what);
  require_sum_in_range(destination, largest);
  const auto add = [&](std::span<const float> from, std::span<float> to) {
    for (std::size_t i = 0; i < to.size(); ++i) {
      const double before = destination.keep == 0 ? 0 : destination.keep * static_cast<double>(to[i]);
      to[i] = static_cast<float>(before + (factor * static_cast<double>(from[i])));
    }
  };
  add(x.kernel.elements(), destination.out.kernel.elements());
  add(x.bias, destination.out.bias);
}

void require_sum_in_range(const Destination& destination, double norm) {
  if (destination.keep == 0 || (norm <= negligible_beside_largest && std::abs(destination.keep) <= 1)) return;
  if (!((std::abs(destination.keep) * largest_of(destination.out)) + norm <= largest_float)) throw_beyond(a_solution);
}

}  // namespace cgfac
