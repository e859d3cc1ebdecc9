#include "node/classes/layer.h"

#include <string>
#include <utility>

#include "core/base/error.h"
#include "node/addon.h"
#include "node/classes/spectrum.h"
#include "node/convert/options.h"
#include "node/convert/report_writer.h"
#include "node/convert/state.h"
#include "node/errors.h"

namespace cgfac::node {

Napi::Function LayerWrap::define(Napi::Env env) {
  using Wrap = LayerWrap;
  return DefineClass(
      env, "Layer",
      {InstanceMethod<&Wrap::record_batch>("recordBatch"), InstanceMethod<&Wrap::precondition_sync>("preconditionSync"),
       InstanceMethod<&Wrap::precondition>("precondition"),
       InstanceMethod<&Wrap::natural_gradient_sync>("naturalGradientSync"),
       InstanceMethod<&Wrap::natural_gradient>("naturalGradient"),
       InstanceMethod<&Wrap::estimated_cost>("estimatedCost"), InstanceMethod<&Wrap::direction_norm>("directionNorm"),
       InstanceMethod<&Wrap::record>("record"), InstanceMethod<&Wrap::record_fisher>("recordFisher"),
       InstanceMethod<&Wrap::require_finite>("requireFinite"), InstanceMethod<&Wrap::roll_back>("rollBack"),
       InstanceMethod<&Wrap::clear>("clear"), InstanceMethod<&Wrap::set_damping>("setDamping"),
       InstanceMethod<&Wrap::set_patches>("setPatches"), InstanceMethod<&Wrap::memory_usage>("memoryUsage"),
       InstanceMethod<&Wrap::state>("state"), InstanceMethod<&Wrap::restore>("restore"),
       InstanceMethod<&Wrap::reset>("reset"), InstanceMethod<&Wrap::dispose>("dispose")});
}

LayerWrap::LayerWrap(const Napi::CallbackInfo& info) : Napi::ObjectWrap<LayerWrap>(info), MemoryHolder(info.Env()) {
  const auto options = info[0].As<Napi::Object>();
  guarded(info.Env(), [&] { layer_ = std::make_shared<Layer>(layer_shape(options), layer_options(options)); });
}

void LayerWrap::settle() {
  --pending_;
  tell_memory();
}

void LayerWrap::tell_memory() {
  if (pending_ > 0 || !layer_) return;
  const LayerMemory memory = layer_->memory();
  tell(memory.recorded + memory.workspace + memory.previous + memory.factors);
}

void LayerWrap::let_go() {
  layer_.reset();
  tell(0);
}

void LayerWrap::require_idle(Napi::Env env, const char* call) const {
  if (pending_ == 0) return;
  throw coded_error(env, "ERR_CGFAC_BUSY",
                    std::string("Expected no pending asynchronous call for ") + call + " but received " +
                        std::to_string(pending_) + "; await them first");
}

void LayerWrap::record_batch(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] {
    const LayerShape& shape = layer_->shape();
    const std::size_t input_rows = size_of(info[2]);
    const std::size_t output_rows = size_of(info[3]);
    const auto inputs = float32_array(info[0], "inputs", input_rows * shape.in_features);
    const auto output_grads = float32_array(info[1], "outputGrads", output_rows * shape.out_features);
    layer_->record_batch({.inputs = {inputs.data(), input_rows, shape.in_features},
                          .output_grads = {output_grads.data(), output_rows, shape.out_features}});
    const std::size_t recorded = inputs.size() + output_grads.size();
    if (std::exchange(recorded_, recorded) != recorded) tell_memory();
  });
}

std::function<LayerWrap::Solved(const CancelFlag*)> LayerWrap::solve(const WeightArrays& v, const WeightArrays& out,
                                                                     bool spectrum) const {
  return [layer = layer_, batch = layer_->batch(), v, out, spectrum](const CancelFlag* cancel) {
    Solved solved;
    if (spectrum) solved.spectrum = std::make_shared<Spectrum>();
    const FisherBlock shape = shape_block(layer->shape());
    solved.summary = layer->precondition(batch, v.view(shape), out.view(shape), cancel, solved.spectrum.get());
    if (!solved.summary.exact) solved.spectrum.reset();
    return solved;
  };
}

// The array that the report lies in is pinned by whoever makes the call.
Call<LayerWrap::Solved> LayerWrap::call(std::function<Solved(const CancelFlag*)> work, std::span<double> report) {
  return {.work = std::move(work),
          .tell = [report](Napi::Env env, const Solved& solved) -> Napi::Value {
            write_report(solved.summary, report);
            if (!solved.spectrum) return env.Undefined();
            return SpectrumWrap::create(env, solved.spectrum);
          },
          .pins = {Value()},
          .started = [this] { start(); },
          .settled = [this] { settle(); },
          .strand = strand_};
}

Call<LayerWrap::Solved> LayerWrap::parse_precondition(const Napi::CallbackInfo& info, CallMemory& memory) {
  const LayerShape& shape = layer_->shape();
  const WeightArrays given = weight_arrays(info[0], info[1], "v", shape);
  const WeightArrays wanted = weight_arrays(info[2], info[3], "out", shape);
  require_no_overlap(info.Env(), wanted, {.v = given});
  const std::span<double> report = report_array<SolveReport>(info[4]);
  const WeightArrays v = memory.read(given);
  const WeightArrays out =
      memory.write({.kernel = info[2], .bias = info[3], .name = "out", .memory = wanted}, info[7].ToBoolean());
  return call(solve(v, out, info[5].ToBoolean()), report);
}

Napi::Value LayerWrap::precondition_sync(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    require_idle(info.Env(), "preconditionSync()");
    CallMemory memory;
    const Napi::Value spectrum = run_now(info.Env(), parse_precondition(info, memory));
    tell_memory();
    return spectrum;
  });
}

Napi::Value LayerWrap::precondition(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const auto memory = Addon::of(info.Env()).call_memory();
    Call<Solved> call = parse_precondition(info, *memory);
    call.pins.push_back(info[4]);
    return queue(info.Env(), std::move(call), memory, info[6]);
  });
}

// Where the result goes: into room for x, or, of an update, that holds the weights.
WeightArrays LayerWrap::destination(const Napi::Object& object, const WeightArrays& wanted, CallMemory& memory) const {
  const CallMemory::Arrays arrays{
      .kernel = object.Get("kernel"), .bias = object.Get("bias"), .name = "out", .memory = wanted};
  if (number_of(object.Get("keep")) == 0) return memory.write(arrays, object.Get("fresh").ToBoolean());
  return memory.update(arrays, strand_, Addon::of(object.Env()).updates());
}

Call<LayerWrap::Solved> LayerWrap::parse_natural_gradient(const Napi::CallbackInfo& info, CallMemory& memory) {
  const LayerShape& shape = layer_->shape();
  const auto object = info[0].As<Napi::Object>();
  const std::size_t input_rows = size_of(object.Get("batch"));
  const std::size_t output_rows = size_of(object.Get("fisherRows"));
  const auto inputs = float32_array(object.Get("inputs"), "inputs", input_rows * shape.in_features);
  const auto output_grads = float32_array(object.Get("outputGrads"), "outputGrads", output_rows * shape.out_features);
  const auto loss_grads = float32_array(object.Get("lossGrads"), "lossGrads", input_rows * shape.out_features);
  const WeightArrays wanted = weight_arrays(object.Get("kernel"), object.Get("bias"), "out", shape);
  require_no_overlap(info.Env(), wanted, {.rows = {inputs, output_grads, loss_grads}});
  const std::span<double> report = report_array<SolveReport>(object.Get("report"));
  const Batch batch = memory.read(Batch{.inputs = {inputs.data(), input_rows, shape.in_features},
                                        .output_grads = {output_grads.data(), output_rows, shape.out_features}});
  const auto own = memory.read(MatrixView<const float>(loss_grads.data(), input_rows, shape.out_features));
  const Destination to{.out = destination(object, wanted, memory).view(shape_block(shape)),
                       .factor = number_of(object.Get("factor")),
                       .keep = number_of(object.Get("keep"))};
  const bool spectrum = object.Get("spectrum").ToBoolean();
  const auto work = [layer = layer_, batch, own, to, spectrum](const CancelFlag* cancel) {
    Solved solved;
    if (spectrum) solved.spectrum = std::make_shared<Spectrum>();
    solved.summary = layer->natural_gradient(batch, own, to, cancel, solved.spectrum.get());
    if (!solved.summary.exact) solved.spectrum.reset();
    return solved;
  };
  return call(work, report);
}

Napi::Value LayerWrap::natural_gradient_sync(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    require_idle(info.Env(), "naturalGradientSync()");
    CallMemory memory;
    const Napi::Value spectrum = run_now(info.Env(), parse_natural_gradient(info, memory));
    tell_memory();
    return spectrum;
  });
}

Napi::Value LayerWrap::natural_gradient(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const auto memory = Addon::of(info.Env()).call_memory();
    Call<Solved> call = parse_natural_gradient(info, *memory);
    const auto object = info[0].As<Napi::Object>();
    call.pins.push_back(object.Get("report"));
    const Napi::Value promise = queue(info.Env(), std::move(call), memory, info[1]);
    if (number_of(object.Get("keep")) != 0) Addon::of(info.Env()).updates().add(memory, strand_.get());
    return promise;
  });
}

Napi::Value LayerWrap::estimated_cost(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    (void)layer_->batch();
    return Napi::Number::New(info.Env(), layer_->estimated_cost());
  });
}

Napi::Value LayerWrap::direction_norm(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    require_idle(info.Env(), "a step");
    return Napi::Number::New(info.Env(), layer_->direction_norm());
  });
}

void LayerWrap::record(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] {
    require_idle(info.Env(), "record()");
    const LayerShape& shape = layer_->shape();
    const std::size_t input_width = kind_of(shape).input_width(shape);
    const std::size_t output_width = kind_of(shape).output_width(shape);
    const auto batch = info[0].As<Napi::Object>();
    const std::size_t rows = size_of(batch.Get("rows"));
    const auto inputs = float32_array(batch.Get("inputs"), "inputs", rows * input_width);
    const Napi::Value own = batch.Get("lossGrads");
    const std::size_t own_rows = own.IsUndefined() ? 0 : rows;
    const auto loss_grads = own_rows == 0 ? std::span<float>() : float32_array(own, "lossGrads", rows * output_width);
    layer_->record({inputs.data(), rows, input_width}, {loss_grads.data(), own_rows, output_width},
                   size_of(batch.Get("samples")), number_of(batch.Get("factor")),
                   {.first = size_of(batch.Get("firstSample")), .count = size_of(batch.Get("batch"))});
    tell_memory();
  });
}

void LayerWrap::record_fisher(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] {
    require_idle(info.Env(), "recordFisher()");
    const std::size_t width = kind_of(layer_->shape()).output_width(layer_->shape());
    const std::size_t rows = size_of(info[1]);
    const auto output_grads = float32_array(info[0], "outputGrads", rows * width);
    layer_->record_fisher({output_grads.data(), rows, width}, number_of(info[2]), info[3].ToBoolean().Value(),
                          size_of(info[4]));
    tell_memory();
  });
}

void LayerWrap::require_finite(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] {
    require_idle(info.Env(), "requireFinite()");
    layer_->require_finite();
  });
}

void LayerWrap::roll_back(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] {
    require_idle(info.Env(), "rollBack()");
    layer_->roll_back();
  });
}

void LayerWrap::clear(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] {
    require_idle(info.Env(), "clear()");
    layer_->clear();
  });
}

void LayerWrap::set_patches(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] {
    require_idle(info.Env(), "resize()");
    layer_->set_patches(layer_shape(info[0].As<Napi::Object>()).patches);
  });
}

void LayerWrap::set_damping(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] {
    require_idle(info.Env(), "setDamping()");
    layer_->set_damping(damping(info[0].As<Napi::Object>()));
  });
}

Napi::Value LayerWrap::memory_usage(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    require_idle(info.Env(), "memoryUsage()");
    const LayerMemory memory = layer_->memory();
    Napi::Object result = Napi::Object::New(info.Env());
    result.Set("recorded", static_cast<double>(memory.recorded));
    result.Set("workspace", static_cast<double>(memory.workspace));
    result.Set("previous", static_cast<double>(memory.previous));
    result.Set("factors", static_cast<double>(memory.factors));
    return result;
  });
}

Napi::Value LayerWrap::state(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    require_idle(info.Env(), "state()");
    return state_object(info.Env(), layer_->state(), layer_->shape(), layer_->options());
  });
}

void LayerWrap::restore(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] {
    require_idle(info.Env(), "restore()");
    layer_->restore(layer_state(info[0], layer_->shape(), layer_->options()));
    tell_memory();
  });
}

void LayerWrap::reset(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] {
    require_idle(info.Env(), "reset()");
    layer_->reset();
    tell_memory();
  });
}

void LayerWrap::dispose(const Napi::CallbackInfo& /*info*/) {
  let_go();
}

}  // namespace cgfac::node
