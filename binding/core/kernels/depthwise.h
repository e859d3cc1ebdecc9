#pragma once

#include <span>

#include "core/kernels/conv_geometry.h"

/// The gradients of a convolution channel by channel, float32, in two dimensions (the depths are 1).
///
/// Kernels are W (kernel × channels × multiplier), filters = channels · multiplier: filter c·multiplier + q reads
/// channel c alone. 2 · rows · taps · filters flops each. Pieces depend on the geometry alone: results have the same
/// bits with any number of threads.
namespace cgfac {

/// dW[k, f] ← Σ over output positions o of x[o·stride − padding + k·dilation, f / multiplier] · dy[o, f]
void depthwise_kernel_gradient(const ConvGeometry& geometry, std::span<const float> x, std::span<const float> dy,
                               std::span<float> dw);

/// dx[i, c] ← Σ over positions o and taps k with o·stride − padding + k·dilation = i, and filters f of channel c, of
/// dy[o, f] · W[k, f]
void depthwise_input_gradient(const ConvGeometry& geometry, std::span<const float> dy, std::span<const float> w,
                              std::span<float> dx);

}  // namespace cgfac
