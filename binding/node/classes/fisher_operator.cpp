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

FisherOperatorWrap::FisherOperatorWrap(const Napi::CallbackInfo& info) : Napi::ObjectWrap<FisherOperatorWrap>(info) {
  const auto options = info[0].As<Napi::Object>();
  shape_ = layer_shape(options);
  damping_ = node::damping(options);
  input_rows_ = size_of(options.Get("batch"));
  output_rows_ = size_of(options.Get("fisherRows"));
  inputs_ = Napi::Persistent(options.Get("inputs").As<Napi::Object>());
  output_grads_ = Napi::Persistent(options.Get("outputGrads").As<Napi::Object>());
  guarded(info.Env(), [&] { (void)batch(); });
}

Batch FisherOperatorWrap::batch() const {
  const auto inputs = float32_array(inputs_.Value(), "inputs", input_rows_ * shape_.in_features);
  const auto output_grads = float32_array(output_grads_.Value(), "outputGrads", output_rows_ * shape_.out_features);
  return {.inputs = {inputs.data(), input_rows_, shape_.in_features},
          .output_grads = {output_grads.data(), output_rows_, shape_.out_features}};
}

std::vector<Napi::Value> FisherOperatorWrap::pins() const {
  return {Value(), inputs_.Value(), output_grads_.Value()};
}

Call<Nothing> FisherOperatorWrap::parse(const Napi::CallbackInfo& info) const {
  const WeightArrays v = weight_arrays(info[0], info[1], "v", shape_);
  const WeightArrays out = weight_arrays(info[2], info[3], "out", shape_);
  const Batch rows = batch();
  require_no_overlap(info.Env(), out, {.v = v, .rows = {rows.inputs.elements(), rows.output_grads.elements()}});
  const auto work = [block = fisher_block(shape_, rows), lambda = damping_, v, out,
                     workspaces = workspaces_](const CancelFlag* /*cancel*/) {
    auto workspace = workspaces->take();
    apply_fisher(block, lambda, v.view(block), out.view(block), *workspace);
    workspaces->give(std::move(workspace));
    return Nothing{};
  };
  return {.work = work, .tell = [](Napi::Env env, const Nothing& /*none*/) { return env.Undefined(); }};
}

Napi::Value FisherOperatorWrap::apply_sync(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] { return run_now(info.Env(), parse(info)); });
}

Napi::Value FisherOperatorWrap::apply(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    Call<Nothing> call = parse(info);
    call.pins = pins();
    for (std::size_t i = 0; i < 4; ++i) call.pins.push_back(info[i]);
    return queue(info.Env(), std::move(call), info[4]);
  });
}

}  // namespace cgfac::node
