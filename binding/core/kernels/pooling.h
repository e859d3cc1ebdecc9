#pragma once

#include <span>

#include "core/kernels/conv_geometry.h"

/// The gradients of pooling channel by channel, float32: `filters` is `channels`, a window is the taps of a position,
/// and what lies outside of the input is no part of it.
///
/// A sample has one writer, which takes its windows in the order of dy: the bits do not depend on threads.
namespace cgfac {

/// dx ← the sums of dy over the windows whose greatest input that place is. Of equal ones the last has the gradient,
/// in the order of a patch; NaN and −∞ never have it.
void max_pool_gradient(const ConvGeometry& geometry, std::span<const float> x, std::span<const float> dy,
                       std::span<float> dx);

/// dx ← the sums, over the windows that hold an input, of dy times one over the number of all taps, be they inside of
/// the input or not.
void average_pool_gradient(const ConvGeometry& geometry, std::span<const float> dy, std::span<float> dx);

}  // namespace cgfac
