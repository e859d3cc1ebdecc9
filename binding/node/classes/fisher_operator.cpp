#include "node/classes/fisher_operator.h"

#include <utility>

#include "core/solver/cg_fac.h"
#include "node/convert/options.h"
#include "node/errors.h"

namespace cgfac::node {

Napi::Function FisherOperatorWrap::define(Napi::Env env) {
  return DefineClass(env, "FisherOperator",
                     {InstanceMethod<&FisherOperatorWrap::apply_sync>("applySync"),
                      InstanceMethod<&FisherOperatorWrap::apply>("apply")});
}

FisherOperatorWrap::FisherOperatorWrap(const Napi::CallbackInfo& info)
    : Napi::ObjectWrap<FisherOperatorWrap>(info), MemoryHolder(info.Env()) {
  const auto options = info[0].As<Napi::Object>();
  shape_ = layer_shape(options);
  damping_ = node::damping(options);
  input_rows_ = size_of(options.Get("batch"));
  output_rows_ = size_of(options.Get("fisherRows"));
  auto self = info.This().As<Napi::Object>();
  for (const char* name : {"inputs", "outputGrads"}) self.Set(name, options.Get(name));
  inputs_ = Napi::Weak(options.Get("inputs").As<Napi::Object>());
  output_grads_ = Napi::Weak(options.Get("outputGrads").As<Napi::Object>());
  guarded(info.Env(), [&] { (void)batch(); });
}

Batch FisherOperatorWrap::batch() const {
  const auto inputs = float32_array(inputs_.Value(), "inputs", input_rows_ * shape_.in_features);
  const auto output_grads = float32_array(output_grads_.Value(), "outputGrads", output_rows_ * shape_.out_features);
  return {.inputs = {inputs.data(), input_rows_, shape_.in_features},
          .output_grads = {output_grads.data(), output_rows_, shape_.out_features}};
}

Call<Nothing> FisherOperatorWrap::parse(const Napi::CallbackInfo& info, CallMemory& memory, bool fresh) {
  const WeightArrays given = weight_arrays(info[0], info[1], "v", shape_);
  const WeightArrays wanted = weight_arrays(info[2], info[3], "out", shape_);
  const Batch rows = batch();
  require_no_overlap(info.Env(), wanted, {.v = given, .rows = {rows.inputs.elements(), rows.output_grads.elements()}});
  const WeightArrays v = memory.read(given);
  const WeightArrays out = memory.write({.kernel = info[2], .bias = info[3], .name = "out", .memory = wanted}, fresh);
  const auto work = [block = fisher_block(shape_, memory.read(rows)), lambda = damping_, v, out,
                     workspaces = workspaces_](const CancelFlag* /*cancel*/) {
    auto workspace = workspaces->take();
    apply_fisher(block, lambda, v.view(block), out.view(block), *workspace);
    workspaces->give(std::move(workspace));
    return Nothing{};
  };
  return {.work = work,
          .tell =
              [this](Napi::Env env, const Nothing& /*none*/) {
                tell(workspaces_->bytes());
                return env.Undefined();
              },
          .pins = {Value()}};
}

void FisherOperatorWrap::let_go() {
  workspaces_.reset();
  tell(0);
}

Napi::Value FisherOperatorWrap::apply_sync(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    CallMemory memory;
    return run_now(info.Env(), parse(info, memory, false));
  });
}

Napi::Value FisherOperatorWrap::apply(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const auto memory = Addon::of(info.Env()).call_memory();
    return queue(info.Env(), parse(info, *memory, info[5].ToBoolean()), memory, info[4]);
  });
}

}  // namespace cgfac::node
