#pragma once

#include <napi.h>

namespace cgfac::node {

/// ({ distribution, probabilities, width, factors, state, errors }): errors of sampled targets, `width` numbers in a
/// row; `state` is the Uint32Array of four words that uniform numbers are drawn from, and changes. Synchronous.
void sample_errors(const Napi::CallbackInfo& info);

}  // namespace cgfac::node
