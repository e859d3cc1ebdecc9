#include "core/solver/measured.h"

#include <algorithm>
#include <cmath>
#include <span>

#include "core/block/weight_vector.h"
#include "core/solver/conjugate_gradient.h"

namespace cgfac {
namespace {

// Of the residual, relative to ‖v‖: what rounding may make of it where the norms of the parts of x add up to `extent`,
// the way to x from a start was longer than x, or left far more of a residual than there is of v.
double residual_noise(const CgSummary& cg, double extent, double v_norm2) {
  constexpr double products = 4;  // their roundings add up
  constexpr double updates = 8;   // of both residuals that each lies between
  return float32_rounding *
         ((products * cg.largest * (extent + cg.path) / std::sqrt(v_norm2)) + (updates * cg.residual_sum));
}

}  // namespace

bool broken(CgReason reason) {
  return reason == CgReason::indefinite || reason == CgReason::broken_down;
}

bool known(const SolutionProducts& products, const CgSummary& cg, double extent) {
  const double norm = std::max(extent, cg.path);
  return float32_rounding * cg.largest * norm * norm <= products.xfx / 2;
}

bool doubtful(const CgSummary& cg, double extent, double norm_noise, double v_norm2, bool known, std::size_t weights) {
  constexpr int few_iterations = 3;
  const double noise = residual_noise(cg, extent, v_norm2);
  return broken(cg.reason) || cg.reason == CgReason::stagnated || !(noise <= cg.residual / 2) ||
         !(noise <= 0.01 || known) || !(norm_noise <= cg.residual / 2 * std::sqrt(v_norm2)) ||
         (weights <= few_weights && cg.iterations <= few_iterations && cg.residual > 1);
}

Measured measured_in_float64(const MeasuredSystem& system, const WeightView<const float>& v,
                             const WeightView<const float>& x, TrueProduct::Memory& memory) {
  const TrueProduct product(system.block, x, memory);
  const std::span<const double> gradient = product.in_float64(v);
  double residual = 0;
  double vv = 0;
  SolutionProducts sums{.vx = 0, .xfx = 0, .xx = 0};
  for (std::size_t i = 0; i < gradient.size(); ++i) {
    const double x_i = product.x()[i];
    const double image = product.image()[i];
    const double left = gradient[i] - image - (system.damping * x_i);
    residual += left * left;
    vv += gradient[i] * gradient[i];
    sums.vx += gradient[i] * x_i;
    sums.xfx += image * x_i;
    sums.xx += x_i * x_i;
  }
  sums.xfx = std::max(sums.xfx, 0.0);
  return {.residual = std::sqrt(residual / vv), .products = sums};
}

Measured measured_in_float32(const MeasuredSystem& system, double largest, const WeightView<const float>& v,
                             const WeightView<const float>& x, const WeightView<float>& image,
                             FisherOperator::Workspace& workspace) {
  const FisherOperator fisher(system.block, system.traces, system.damping, 1, workspace);
  fisher.apply(x, image);
  const double xx = dot(x, x);
  const double vv = dot(v, v);
  const double xfx = std::max(dot(x, image) - (system.damping * xx), 0.0);  // of ⟨x, (F + λI) x⟩
  const bool certain = float32_rounding * largest * xx <= xfx / 2;
  const SolutionProducts products{.vx = dot(v, x), .xfx = certain ? xfx : SolutionProducts::unknown, .xx = xx};
  scale(-1.0F, image);
  axpy(1.0F, v, image);
  const double noise = float32_rounding * largest * std::sqrt(xx / vv);
  return {.residual = std::max(std::sqrt(dot(image, image) / vv), noise), .products = products};
}

}  // namespace cgfac
