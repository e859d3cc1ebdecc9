#pragma once

#include <napi.h>

namespace cgfac::node {

/// ({ x, dy, w, gradientOf, depthwise, batch, channels, filters, input, output, kernel, stride, dilation, padding }):
/// the gradient of a convolution with respect to 'kernel', into w, or to 'input', into x, as lib/native declares it.
/// Synchronous.
void convolution_gradient(const Napi::CallbackInfo& info);

/// ({ x, ids, width, out }): out[s] ← Σ x[i] over ids[i] = s, as lib/native declares it. Synchronous.
void segment_sum(const Napi::CallbackInfo& info);

}  // namespace cgfac::node
