#include "node/layer_preconditioner_wrap.h"

#include <optional>
#include <string>
#include <utility>

#include "node/addon.h"
#include "node/arguments.h"
#include "node/errors.h"
#include "node/fisher_operator_wrap.h"

namespace cgfac::node {

Napi::Function LayerPreconditionerWrap::define(Napi::Env env) {
  return DefineClass(env, "LayerPreconditioner",
                     {InstanceMethod<&LayerPreconditionerWrap::record>("record"),
                      InstanceMethod<&LayerPreconditionerWrap::precondition_sync>("preconditionSync"),
                      InstanceMethod<&LayerPreconditionerWrap::precondition>("precondition"),
                      InstanceMethod<&LayerPreconditionerWrap::reset>("reset"),
                      InstanceMethod<&LayerPreconditionerWrap::dispose>("dispose")});
}

LayerPreconditionerWrap::LayerPreconditionerWrap(const Napi::CallbackInfo& info)
    : Napi::ObjectWrap<LayerPreconditionerWrap>(info) {
  const auto options = info[0].As<Napi::Object>();
  const LayerOptions layer{
      .damping = damping(options), .cg_fac = cg_fac_options(options), .warm_start = warm_start(options)};
  layer_ = std::make_shared<LayerPreconditioner>(layer_shape(options), layer);
}

void LayerPreconditionerWrap::record(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] {
    const LayerShape& shape = layer_->shape();
    const std::size_t input_rows = info[2].As<Napi::Number>().Uint32Value();
    const std::size_t output_rows = info[3].As<Napi::Number>().Uint32Value();
    const auto inputs = float32_array(info[0], "inputs", input_rows * shape.in_features);
    const auto output_grads = float32_array(info[1], "outputGrads", output_rows * shape.out_features);
    layer_->record({.inputs = {inputs.data(), input_rows, shape.in_features},
                    .output_grads = {output_grads.data(), output_rows, shape.out_features}});
  });
}

LayerPreconditionerWrap::Precondition LayerPreconditionerWrap::parse(const Napi::CallbackInfo& info) const {
  const LayerShape& shape = layer_->shape();
  const WeightArrays v = weight_arrays(info[0], info[1], "v", shape);
  const WeightArrays out = weight_arrays(info[2], info[3], "out", shape);
  require_no_overlap(info.Env(), out, v, std::nullopt, {}, {});
  return [layer = layer_, batch = layer_->batch(), v, out](const CancelFlag* cancel) {
    return layer->precondition(*batch, v.view(batch->block()), out.view(batch->block()), cancel);
  };
}

void LayerPreconditionerWrap::require_idle(Napi::Env env, const char* call) const {
  if (*pending_ == 0) return;
  throw coded_error(env, "ERR_CGFAC_BUSY",
                    std::string("Expected no pending precondition() for ") + call + " but received " +
                        std::to_string(*pending_) + "; await them first");
}

Napi::Value LayerPreconditionerWrap::precondition_sync(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    require_idle(info.Env(), "preconditionSync()");
    return summary_object(info.Env(), parse(info)(nullptr));
  });
}

Napi::Value LayerPreconditionerWrap::precondition(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    auto job = std::make_unique<Job>(env);
    const auto summary = std::make_shared<CgFacSummary>();
    job->work = [run = parse(info), summary](const CancelFlag& cancel) { *summary = run(&cancel); };
    job->result = [summary](Napi::Env settled) { return summary_object(settled, *summary); };
    job->settled = [pending = pending_] { --*pending; };
    for (std::size_t i = 0; i < 4; ++i) job->pin(info[i]);
    job->pin(Value());
    use_token(*job, info[4]);
    ++*pending_;
    return Addon::of(env).jobs().submit(env, std::move(job), strand_.get());
  });
}

void LayerPreconditionerWrap::reset(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] {
    require_idle(info.Env(), "reset()");
    layer_->reset();
  });
}

void LayerPreconditionerWrap::dispose(const Napi::CallbackInfo& /*info*/) {
  layer_.reset();
}

}  // namespace cgfac::node
