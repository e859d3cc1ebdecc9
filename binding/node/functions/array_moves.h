#pragma once

#include <napi.h>

namespace cgfac::node {

/// (reduction, extents, x, out): reduces x along its second and its fourth axis by 'sum', 'mean' or 'max', as
/// lib/native declares it. Synchronous.
void reduce(const Napi::CallbackInfo& info);

/// (places, rank, from, to): copies numbers along axes of any steps, as lib/native declares it. Synchronous.
void strided_copy(const Napi::CallbackInfo& info);

/// (sizes, from, ids, to): copies rows by their index, as lib/native declares it; returns whether it did, which it does
/// not where an index is out of range. Synchronous.
Napi::Value gather_rows(const Napi::CallbackInfo& info);

}  // namespace cgfac::node
