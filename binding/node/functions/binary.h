#pragma once

#include <napi.h>

namespace cgfac::node {

/// (function, shapes, a, b, out): out ← f(a, b) place by place, as lib/native declares it. Synchronous.
void binary(const Napi::CallbackInfo& info);

/// (x, out): out ← x as numbers of the type of out, as lib/native declares it. Synchronous.
void cast(const Napi::CallbackInfo& info);

/// (condition, yes, no, out): out ← yes where the condition holds, else no, as lib/native declares it. Synchronous.
void select(const Napi::CallbackInfo& info);

/// ({ mean, variance, scale, offset, epsilon, x, out }): out ← the rows of x normalised, as lib/native declares it.
/// Synchronous.
void batch_normalization(const Napi::CallbackInfo& info);

}  // namespace cgfac::node
