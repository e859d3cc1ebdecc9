#pragma once

#include <napi.h>

namespace cgfac::node {

/// ({ distribution, probabilities, width, factors, state, errors }): errors of sampled targets, `width` numbers in a
/// row; `state` is the Uint32Array of four words that uniform numbers are drawn from, and changes. Synchronous.
void sample_errors(const Napi::CallbackInfo& info);

/// ({ distribution, probabilities, targets, gradient, weights, width, sums }): how well a gradient is that of a head.
/// `sums` takes Σ d², Σ d·e, Σ e² of what is compared, the same of what is left out, and how many numbers are compared.
/// Synchronous.
void fit_head(const Napi::CallbackInfo& info);

/// ({ distribution, targets, weights, width, sums }): the weighed entropies of targets; `sums` takes their sum, and 1
/// where any target is between 0 and 1, else 0. Synchronous.
void target_entropy(const Napi::CallbackInfo& info);

}  // namespace cgfac::node
