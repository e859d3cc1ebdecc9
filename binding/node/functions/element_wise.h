#pragma once

#include <napi.h>

namespace cgfac::node {

/// (function, x, out): out[i] ← f(x[i]), as lib/native declares it. Synchronous.
void element_wise(const Napi::CallbackInfo& info);

/// (function, first, second, dy, saved, dx): dx[i] ← dy[i] · f′, as lib/native declares it. Synchronous.
void element_wise_gradient(const Napi::CallbackInfo& info);

}  // namespace cgfac::node
