#include "core/solver/measured.h"

#include <algorithm>
#include <cmath>
#include <span>

#include "core/block/weight_vector.h"
#include "core/solver/conjugate_gradient.h"

namespace cgfac {

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
