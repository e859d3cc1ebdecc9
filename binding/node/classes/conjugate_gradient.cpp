#include "node/classes/conjugate_gradient.h"

#include <optional>
#include <utility>

#include "node/classes/fisher_operator.h"
#include "node/convert/options.h"
#include "node/convert/report_writer.h"
#include "node/errors.h"

namespace cgfac::node {
namespace {

const FisherOperatorWrap& operator_of(const Napi::CallbackInfo& info) {
  return *FisherOperatorWrap::Unwrap(info[0].As<Napi::Object>());
}

}  // namespace

Napi::Function ConjugateGradientWrap::define(Napi::Env env) {
  return DefineClass(env, "ConjugateGradient",
                     {InstanceMethod<&ConjugateGradientWrap::solve_sync>("solveSync"),
                      InstanceMethod<&ConjugateGradientWrap::solve>("solve")});
}

ConjugateGradientWrap::ConjugateGradientWrap(const Napi::CallbackInfo& info)
    : Napi::ObjectWrap<ConjugateGradientWrap>(info), MemoryHolder(info.Env()) {
  const auto options = info[0].As<Napi::Object>();
  options_ = cg_fac_options(options);
  history_ = options.Get("history").As<Napi::Boolean>().Value();
}

Call<ConjugateGradientWrap::Outcome> ConjugateGradientWrap::parse(const Napi::CallbackInfo& info, CallMemory& memory) {
  const FisherOperatorWrap& fisher = operator_of(info);
  const auto system = info[1].As<Napi::Object>();
  const LayerShape& shape = fisher.shape();
  const auto arrays = [&](const char* kernel, const char* bias, const char* name) {
    return weight_arrays(system.Get(kernel), system.Get(bias), name, shape);
  };
  const WeightArrays given = arrays("vKernel", "vBias", "v");
  const WeightArrays wanted = arrays("outKernel", "outBias", "out");
  std::optional<WeightArrays> x0;
  if (system.Get("x0Kernel").IsTypedArray()) x0 = arrays("x0Kernel", "x0Bias", "x0");
  const Batch rows = fisher.batch();
  require_no_overlap(info.Env(), wanted,
                     {.v = given, .x0 = x0, .rows = {rows.inputs.elements(), rows.output_grads.elements()}});
  const WeightArrays v = memory.read(given);
  if (x0) x0 = memory.read(*x0);
  const WeightArrays out =
      memory.write({.kernel = system.Get("outKernel"), .bias = system.Get("outBias"), .name = "out", .memory = wanted},
                   system.Get("fresh").ToBoolean());
  const auto work = [block = fisher_block(shape, memory.read(rows)), lambda = fisher.damping(), v, out, x0,
                     options = options_, history = history_, workspaces = workspaces_](const CancelFlag* cancel) {
    Outcome outcome;
    auto workspace = workspaces->take();
    std::optional<WeightView<const float>> start;
    if (x0) start = x0->view(block);
    outcome.summary = cg_fac(block, lambda, v.view(block), start, out.view(block), options, *workspace, cancel,
                             history ? &outcome.residuals : nullptr);
    workspaces->give(std::move(workspace));
    return outcome;
  };
  const auto told = [this, history = history_](Napi::Env env, const Outcome& outcome) -> Napi::Value {
    tell(workspaces_->bytes());
    Napi::Object result = summary_object(env, outcome.summary);
    if (history) result.Set("residuals", typed_array<Napi::Float64Array>(env, outcome.residuals));
    return result;
  };
  return {.work = work, .tell = told, .pins = {Value()}};
}

void ConjugateGradientWrap::let_go() {
  workspaces_.reset();
  tell(0);
}

Napi::Value ConjugateGradientWrap::solve_sync(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    CallMemory memory;
    return run_now(info.Env(), parse(info, memory));
  });
}

Napi::Value ConjugateGradientWrap::solve(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const auto memory = Addon::of(info.Env()).call_memory();
    return queue(info.Env(), parse(info, *memory), memory, info[2]);
  });
}

}  // namespace cgfac::node
