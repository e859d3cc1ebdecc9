#pragma once

#include <napi.h>

namespace cgfac::node {

/// ({ a, b, out, pairs, countA, countB, rows, cols, inner, transposeA, transposeB, bias, biasShape, activation, slope,
/// slopes, slopesShape }): out[p] ← φ(op(a[pairs[2p]]) op(b[pairs[2p + 1]]) + bias), as lib/native declares it.
/// Synchronous.
void matrix_products(const Napi::CallbackInfo& info);

}  // namespace cgfac::node
