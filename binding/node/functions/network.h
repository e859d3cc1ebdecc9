#pragma once

#include <napi.h>

/// The phases of a step that all layers of a network go through together, and what single layers do side by side.
namespace cgfac::node {

/// ([{ layer, refresh, kernel, bias, report }, …], { damping, trust: { kl, stepSize } | undefined }, token): makes each
/// direction ready and writes a StepReport; `kernel` is the gradient that is given, or undefined.
void prepare_all_sync(const Napi::CallbackInfo& info);
Napi::Value prepare_all(const Napi::CallbackInfo& info);

/// ([{ layer, kept, weights, gradient, average }, …], { stepSize, momentum, weightDecay, averageDecay }): the update of
/// core/layer/update.h; each vector is { kernel, bias } or undefined. The layers settle.
void write_all_sync(const Napi::CallbackInfo& info);
Napi::Value write_all(const Napi::CallbackInfo& info);

/// ([{ layer, vKernel, vBias, outKernel, outBias, report }, …]): a SolveReport each.
void precondition_all_sync(const Napi::CallbackInfo& info);

/// ([{ weights, average }, …], decay): average ← decay·average + (1 − decay)·weights, of Float32Arrays of one length.
void average_all(const Napi::CallbackInfo& info);
/// ({ keep, x, factor, y, out }): out ← keep·x + factor·y, of Float32Arrays of one length; out may be x or y.
void combine(const Napi::CallbackInfo& info);
/// (array) → ‖x‖² of a Float32Array.
Napi::Value square(const Napi::CallbackInfo& info);
/// ([array, …]) → the index of the first Float32Array that holds NaN or infinity, or −1.
Napi::Value first_not_finite(const Napi::CallbackInfo& info);

}  // namespace cgfac::node
