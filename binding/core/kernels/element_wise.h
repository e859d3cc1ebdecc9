#pragma once

#include <cstddef>
#include <span>

namespace cgfac {

/// Functions of each number; elementary.h has their definitions and their errors.
enum class ElementWise : unsigned char { exp, expm1, log, log1p, tanh, sigmoid, elu, softplus, erf, sqrt, rsqrt };

/// y[i] ← f(x[i]). `y` may be `x`. A number gives the same bits at every place, whatever the number of threads.
void element_wise(ElementWise function, std::span<const float> x, std::span<float> y);

/// y[i] ← f(x[i]) on the calling thread alone, with the bits of `element_wise`.
void element_wise_here(ElementWise function, std::span<const float> x, std::span<float> y);

}  // namespace cgfac
