#include "core/layer/trust_region.h"

#include <cmath>

namespace cgfac {
namespace {

constexpr double least = 1e-6;
constexpr double most = 1e8;
constexpr int bisections = 48;  // of log c over 14 decades: to 1e-13

// ½η²Σ xᵀF x with λ times c
double predicted_divergence(std::span<const SolvedSpectrum> layers, double c, double step_size) {
  double sum = 0;
  for (const SolvedSpectrum& layer : layers) sum += layer.spectrum.at(c * layer.damping).products.xfx;
  return step_size * step_size / 2 * sum;
}

}  // namespace

double trust_factor(std::span<const SolvedSpectrum> layers, double kl, double step_size) {
  if (layers.empty()) return 1;
  // xᵀF x falls as λ grows
  double low = std::log(least);
  double high = std::log(most);
  if (predicted_divergence(layers, least, step_size) <= kl) return least;
  for (int step = 0; step < bisections; ++step) {
    const double middle = (low + high) / 2;
    (predicted_divergence(layers, std::exp(middle), step_size) > kl ? low : high) = middle;
  }
  return std::exp(high);
}

}  // namespace cgfac
