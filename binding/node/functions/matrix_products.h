#pragma once

#include <napi.h>

#include <cstddef>
#include <initializer_list>

#include "core/kernels/matrix_product.h"

namespace cgfac::node {

/// What a call asks for after a product: its bias, biasShape, activation, slope, slopes and slopesShape. Three sizes of
/// the results: how many, rows, columns.
[[nodiscard]] Epilogue epilogue_of(const Napi::Object& call, std::initializer_list<std::size_t> results);

/// (sizes, pairs, a, b, out, epilogue): out[p] ← φ(op(a[pairs[2p]]) op(b[pairs[2p + 1]]) + bias), as lib/native
/// declares it. Synchronous.
void matrix_products(const Napi::CallbackInfo& info);

}  // namespace cgfac::node
