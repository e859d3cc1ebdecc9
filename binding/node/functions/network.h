#pragma once

#include <napi.h>

/// The phases of a step that all layers of a network go through together, and what single layers do side by side.
namespace cgfac::node {

/// ([{ layer, refresh, kernel, bias, report }, …], { damping, trust: { kl, stepSize } | undefined }, token): makes each
/// direction ready and writes a StepReport; `kernel` is the gradient that is given, or undefined.
void prepare_all_sync(const Napi::CallbackInfo& info);
Napi::Value prepare_all(const Napi::CallbackInfo& info);

/// ([{ layer, kept, weights, gradient, average, weightsTo }, …], { stepSize, momentum, weightDecay, averageDecay }):
/// the update of core/layer/update.h; each vector is { kernel, bias } or undefined. `weightsTo`: where `weights`, which
/// are a copy then, go in the end. The layers settle.
void write_all_sync(const Napi::CallbackInfo& info);
Napi::Value write_all(const Napi::CallbackInfo& info);

/// ([{ layer, vKernel, vBias, outKernel, outBias, report }, …]): a SolveReport each.
void precondition_all_sync(const Napi::CallbackInfo& info);

}  // namespace cgfac::node
