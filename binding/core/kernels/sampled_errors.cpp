#include "core/kernels/sampled_errors.h"

#include <bit>
#include <cmath>
#include <numbers>

namespace cgfac {
namespace {

// The class whose share of the cumulated probabilities `u` falls into. In float32 these do not sum to 1 exactly: u is a
// share of what they sum to.
std::size_t sample_class(std::span<const float> p, double u) {
  double total = 0;
  for (const float each : p) total += static_cast<double>(each);
  double rest = u * total;
  for (std::size_t index = 0; index < p.size(); ++index) {
    rest -= static_cast<double>(p[index]);
    if (rest < 0) return index;
  }
  return p.size() - 1;
}

double normal(UniformNumbers& uniform) {
  const double radius = std::sqrt(-2 * std::log(1 - uniform.next()));
  return radius * std::cos(2 * std::numbers::pi * uniform.next());
}

void sample_row(Distribution distribution, std::span<const float> p, double factor, UniformNumbers& uniform,
                std::span<float> errors) {
  if (distribution == Distribution::gaussian) {
    for (float& error : errors) error = static_cast<float>(factor * normal(uniform));
    return;
  }
  const bool categorical = distribution == Distribution::categorical;
  const std::size_t target = categorical ? sample_class(p, uniform.next()) : p.size();
  for (std::size_t j = 0; j < p.size(); ++j) {
    const auto probability = static_cast<double>(p[j]);
    const bool y = categorical ? j == target : uniform.next() < probability;
    errors[j] = static_cast<float>(factor * (probability - (y ? 1 : 0)));
  }
}

}  // namespace

double UniformNumbers::next() {
  std::uint32_t& a = state_[0];
  std::uint32_t& b = state_[1];
  std::uint32_t& c = state_[2];
  std::uint32_t& d = state_[3];
  const std::uint32_t result = std::rotl(b * 5, 7) * 9;
  const std::uint32_t shifted = b << 9U;
  c ^= a;
  d ^= b;
  b ^= c;
  a ^= d;
  c ^= shifted;
  d = std::rotl(d, 11);
  return static_cast<double>(result) * 0x1p-32;
}

void sample_errors(Distribution distribution, MatrixView<const float> probabilities, std::span<const double> factors,
                   UniformNumbers& uniform, MatrixView<float> errors) {
  for (std::size_t row = 0; row < errors.rows; ++row) {
    const double factor = factors[row * factors.size() / errors.rows];
    sample_row(distribution, probabilities.rows_from(row, 1).elements(), factor, uniform,
               errors.rows_from(row, 1).elements());
  }
}

}  // namespace cgfac
