#pragma once

#include <napi.h>

/// What the facade does with arrays of numbers.
namespace cgfac::node {

/// ([{ weights, average }, …], decay): average ← decay·average + (1 − decay)·weights, of Float32Arrays of one length.
void average_all(const Napi::CallbackInfo& info);
/// ({ keep, x, factor, y, out }): out ← keep·x + factor·y, of Float32Arrays of one length; out may be x or y.
void combine(const Napi::CallbackInfo& info);
/// ([{ from, to }, …]): to ← from, of Float32Arrays of one length.
void copy_all(const Napi::CallbackInfo& info);
/// (array) → ‖x‖² of a Float32Array.
Napi::Value square(const Napi::CallbackInfo& info);
/// ([array, …]) → a number of 53 bits that other numbers in these Float32Arrays would hardly have.
Napi::Value fingerprint(const Napi::CallbackInfo& info);
/// ([array, …]) → the index of the first Float32Array that holds NaN or infinity, or −1.
Napi::Value first_not_finite(const Napi::CallbackInfo& info);

}  // namespace cgfac::node
