#include "node/classes/fisher_operator.h"

#include <optional>
#include <utility>

#include "core/solver/cg_fac.h"
#include "node/addon.h"
#include "node/convert/arguments.h"
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
  input_rows_ = options.Get("batch").As<Napi::Number>().Uint32Value();
  output_rows_ = options.Get("fisherRows").As<Napi::Number>().Uint32Value();
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

void FisherOperatorWrap::pin(Job& job) {
  job.pin(Value());
  job.pin(inputs_.Value());
  job.pin(output_grads_.Value());
}

std::function<void()> FisherOperatorWrap::parse(const Napi::CallbackInfo& info) {
  const WeightArrays v = weight_arrays(info[0], info[1], "v", shape_);
  const WeightArrays out = weight_arrays(info[2], info[3], "out", shape_);
  const Batch rows = batch();
  require_no_overlap(info.Env(), out, v, std::nullopt, rows.inputs.elements(), rows.output_grads.elements());
  return [block = fisher_block(shape_, rows), lambda = damping_, v, out, workspaces = workspaces_] {
    auto workspace = workspaces->take();
    apply_fisher(block, lambda, v.view(block), out.view(block), *workspace);
    workspaces->give(std::move(workspace));
  };
}

void FisherOperatorWrap::apply_sync(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] { parse(info)(); });
}

Napi::Value FisherOperatorWrap::apply(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    auto job = std::make_unique<Job>(env);
    job->work = [work = parse(info)](const CancelFlag& /*cancel*/) { work(); };
    job->result = [](Napi::Env settled) { return settled.Undefined(); };
    for (std::size_t i = 0; i < 4; ++i) job->pin(info[i]);
    pin(*job);
    use_token(*job, info[4]);
    return Addon::of(env).jobs().submit(env, std::move(job), nullptr);
  });
}

void use_token(Job& job, const Napi::Value& token) {
  if (token.IsObject()) job.cancel = CancelToken::Unwrap(token.As<Napi::Object>())->flag();
}

}  // namespace cgfac::node
