#pragma once

#include <napi.h>

namespace cgfac::node {

/// ({ sizes, depthwise, gradientOf, x, dy, w }): the gradient of a convolution with respect to 'kernel', into w, or to
/// 'input', into x, as lib/native declares it. Synchronous.
void convolution_gradient(const Napi::CallbackInfo& info);

/// ({ sizes, x, w, out, bias, biasShape, activation, slope, slopes, slopesShape }): out ← φ(x ∗ w + bias),
/// as lib/native declares it. Synchronous.
void convolution(const Napi::CallbackInfo& info);

/// ({ sizes, kind, x, dy, dx }): the gradient of pooling by 'max' or 'average', as lib/native declares it.
/// Synchronous.
void pooling_gradient(const Napi::CallbackInfo& info);

/// ({ x, ids, width, out }): out[s] ← Σ x[i] over ids[i] = s, as lib/native declares it. Synchronous.
void segment_sum(const Napi::CallbackInfo& info);

}  // namespace cgfac::node
