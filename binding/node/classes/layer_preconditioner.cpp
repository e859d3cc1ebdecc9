#include "node/classes/layer_preconditioner.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <exception>
#include <limits>
#include <numeric>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/base/error.h"
#include "core/threads/parallel.h"
#include "node/addon.h"
#include "node/classes/fisher_operator.h"
#include "node/convert/arguments.h"
#include "node/errors.h"

namespace cgfac::node {
namespace {

// The arrays of a state, by name
constexpr std::array<std::pair<const char*, std::vector<float> LayerState::*>, 3> layer_arrays{
    {{"inputs", &LayerState::inputs}, {"outputGrads", &LayerState::output_grads}, {"previous", &LayerState::previous}}};
constexpr std::array<std::pair<const char*, std::vector<float> DirectKfacState::*>, 6> kfac_arrays{
    {{"inputFactor", &DirectKfacState::input_factor},
     {"outputFactor", &DirectKfacState::output_factor},
     {"inputVectors", &DirectKfacState::input_vectors},
     {"outputVectors", &DirectKfacState::output_vectors},
     {"inputValues", &DirectKfacState::input_values},
     {"outputValues", &DirectKfacState::output_values}}};

template <typename Array, typename T>
Array typed_array(Napi::Env env, const std::vector<T>& numbers) {
  Array result = Array::New(env, numbers.size());
  std::ranges::copy(numbers, result.Data());
  return result;
}

template <typename Array, typename T>
std::vector<T> numbers_of(const Napi::Object& object, const char* name, napi_typedarray_type type) {
  const Napi::Value value = object.Get(name);
  if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != type)
    throw expected(ErrorCode::shape_mismatch, "the state of a layer like this one", "state", "another");
  const auto array = value.As<Array>();
  return {array.Data(), array.Data() + array.ElementLength()};
}

double microseconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start).count();
}

// Places of `factor_spectra`
constexpr std::size_t spectra_numbers = 8;

}  // namespace

Napi::Function SpectrumWrap::define(Napi::Env env) {
  return DefineClass(env, "Spectrum", {InstanceMethod<&SpectrumWrap::at>("at")});
}

SpectrumWrap::SpectrumWrap(const Napi::CallbackInfo& info) : Napi::ObjectWrap<SpectrumWrap>(info) {
  if (info[0].IsExternal()) spectrum_ = *info[0].As<Napi::External<std::shared_ptr<const Spectrum>>>().Data();
}

Napi::Object SpectrumWrap::create(Napi::Env env, std::shared_ptr<const Spectrum> spectrum) {
  return Addon::of(env).spectrum_class().New({Napi::External<std::shared_ptr<const Spectrum>>::New(env, &spectrum)});
}

Napi::Value SpectrumWrap::at(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    if (!spectrum_) throw expected(ErrorCode::no_record, "a spectrum from a solve", "at()", "none");
    const Spectrum::Values values = spectrum_->at(info[0].As<Napi::Number>().DoubleValue());
    Napi::Object result = Napi::Object::New(env);
    set_products(result, values.products);
    result.Set("lambdaMax", values.lambda_max);
    result.Set("effectiveRank", values.effective_rank);
    return result;
  });
}

Napi::Function LayerPreconditionerWrap::define(Napi::Env env) {
  using Wrap = LayerPreconditionerWrap;
  return DefineClass(
      env, "LayerPreconditioner",
      {InstanceMethod<&Wrap::record>("record"), InstanceMethod<&Wrap::precondition_sync>("preconditionSync"),
       InstanceMethod<&Wrap::precondition>("precondition"),
       InstanceMethod<&Wrap::natural_gradient_sync>("naturalGradientSync"),
       InstanceMethod<&Wrap::natural_gradient>("naturalGradient"), InstanceMethod<&Wrap::set_damping>("setDamping"),
       InstanceMethod<&Wrap::memory_usage>("memoryUsage"), InstanceMethod<&Wrap::estimated_cost>("estimatedCost"),
       InstanceMethod<&Wrap::has_damping>("hasDamping"), InstanceMethod<&Wrap::factor_spectra>("factorSpectra"),
       InstanceMethod<&Wrap::forget_previous>("forgetPrevious"), InstanceMethod<&Wrap::roll_back>("rollBack"),
       InstanceMethod<&Wrap::settle>("settle"), InstanceMethod<&Wrap::recorded_rows>("recordedRows"),
       InstanceMethod<&Wrap::state>("state"), InstanceMethod<&Wrap::restore>("restore"),
       InstanceMethod<&Wrap::reset>("reset"), InstanceMethod<&Wrap::dispose>("dispose")});
}

LayerPreconditionerWrap::LayerPreconditionerWrap(const Napi::CallbackInfo& info)
    : Napi::ObjectWrap<LayerPreconditionerWrap>(info) {
  const auto options = info[0].As<Napi::Object>();
  layer_ = std::make_shared<LayerPreconditioner>(layer_shape(options), layer_options(options));
}

void LayerPreconditionerWrap::record(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] {
    const LayerShape& shape = layer_->shape();
    const std::size_t input_rows = info[2].As<Napi::Number>().Uint32Value();
    const std::size_t output_rows = info[3].As<Napi::Number>().Uint32Value();
    const auto inputs = float32_array(info[0], "inputs", input_rows * shape.in_features);
    const auto output_grads = float32_array(info[1], "outputGrads", output_rows * shape.out_features);
    layer_->record({.inputs = {inputs.data(), input_rows, shape.in_features},
                    .output_grads = {output_grads.data(), output_rows, shape.out_features}},
                   info[4].ToBoolean().Value() ? ShortBatch::filled_up : ShortBatch::as_it_is);
  });
}

LayerPreconditionerWrap::Work LayerPreconditionerWrap::parse(Napi::Env env, const WeightArrays& v,
                                                             const WeightArrays& out, bool spectrum) const {
  require_no_overlap(env, out, v, std::nullopt, {}, {});
  return [layer = layer_, time = microseconds_, batch = layer_->batch(), v, out, spectrum](const CancelFlag* cancel) {
    Outcome outcome;
    if (spectrum) outcome.spectrum = std::make_shared<Spectrum>();
    const auto start = std::chrono::steady_clock::now();
    outcome.summary =
        layer->precondition(batch, v.view(batch->block()), out.view(batch->block()), cancel, outcome.spectrum.get());
    *time = microseconds_since(start);
    if (!outcome.summary.exact) outcome.spectrum.reset();
    return outcome;
  };
}

LayerPreconditionerWrap::Work LayerPreconditionerWrap::parse_precondition(const Napi::CallbackInfo& info) const {
  const LayerShape& shape = layer_->shape();
  return parse(info.Env(), weight_arrays(info[0], info[1], "v", shape), weight_arrays(info[2], info[3], "out", shape),
               info[4].ToBoolean().Value());
}

LayerPreconditionerWrap::Work LayerPreconditionerWrap::parse_natural_gradient(const Napi::CallbackInfo& info) const {
  const LayerShape& shape = layer_->shape();
  const std::size_t input_rows = info[3].As<Napi::Number>().Uint32Value();
  const std::size_t output_rows = info[4].As<Napi::Number>().Uint32Value();
  const auto inputs = float32_array(info[0], "inputs", input_rows * shape.in_features);
  const auto output_grads = float32_array(info[1], "outputGrads", output_rows * shape.out_features);
  const auto loss_grads = float32_array(info[2], "lossGrads", input_rows * shape.out_features);
  const WeightArrays out = weight_arrays(info[5], info[6], "out", shape);
  require_no_overlap(info.Env(), out, out, std::nullopt, inputs, output_grads);
  require_no_overlap(info.Env(), out, out, std::nullopt, {}, loss_grads);
  const double factor = info[7].As<Napi::Number>().DoubleValue();
  const double keep = info[8].As<Napi::Number>().DoubleValue();
  const bool spectrum = info[9].ToBoolean().Value();
  const Batch batch{.inputs = {inputs.data(), input_rows, shape.in_features},
                    .output_grads = {output_grads.data(), output_rows, shape.out_features}};
  const MatrixView<const float> own(loss_grads.data(), input_rows, shape.out_features);
  return [layer = layer_, time = microseconds_, batch, own, out, factor, keep, spectrum](const CancelFlag* cancel) {
    Outcome outcome;
    if (spectrum) outcome.spectrum = std::make_shared<Spectrum>();
    const FisherBlock block = fisher_block(layer->shape(), batch);
    const auto start = std::chrono::steady_clock::now();
    outcome.summary = layer->natural_gradient(batch, own, {.out = out.view(block), .factor = factor, .keep = keep},
                                              cancel, outcome.spectrum.get());
    *time = microseconds_since(start);
    if (!outcome.summary.exact) outcome.spectrum.reset();
    return outcome;
  };
}

Napi::Value LayerPreconditionerWrap::finish(Napi::Env env, const Outcome& outcome, std::span<double> report) {
  write_report(outcome.summary, report);
  if (!outcome.spectrum) return env.Undefined();
  return SpectrumWrap::create(env, outcome.spectrum);
}

void LayerPreconditionerWrap::require_idle(Napi::Env env, const char* call) const {
  if (*pending_ == 0) return;
  throw coded_error(env, "ERR_CGFAC_BUSY",
                    std::string("Expected no pending asynchronous call for ") + call + " but received " +
                        std::to_string(*pending_) + "; await them first");
}

// Everything before the report is an argument to keep, the token follows it.
Napi::Value LayerPreconditionerWrap::submit(const Napi::CallbackInfo& info, Work work, std::size_t report) {
  const Napi::Env env = info.Env();
  auto job = std::make_unique<Job>(env);
  const auto outcome = std::make_shared<Outcome>();
  job->work = [run = std::move(work), outcome](const CancelFlag& cancel) { *outcome = run(&cancel); };
  job->result = [outcome, numbers = report_array(info[report])](Napi::Env settled) {
    return finish(settled, *outcome, numbers);
  };
  job->settled = [pending = pending_] { --*pending; };
  for (std::size_t i = 0; i <= report; ++i) job->pin(info[i]);
  job->pin(Value());
  use_token(*job, info[report + 1]);
  ++*pending_;
  return Addon::of(env).jobs().submit(env, std::move(job), strand_.get());
}

Napi::Value LayerPreconditionerWrap::precondition_sync(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    require_idle(info.Env(), "preconditionSync()");
    const std::span<double> report = report_array(info[5]);
    return finish(info.Env(), parse_precondition(info)(nullptr), report);
  });
}

Napi::Value LayerPreconditionerWrap::precondition(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] { return submit(info, parse_precondition(info), 5); });
}

Napi::Value LayerPreconditionerWrap::natural_gradient_sync(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    require_idle(info.Env(), "naturalGradientSync()");
    const std::span<double> report = report_array(info[10]);
    return finish(info.Env(), parse_natural_gradient(info)(nullptr), report);
  });
}

Napi::Value LayerPreconditionerWrap::natural_gradient(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] { return submit(info, parse_natural_gradient(info), 10); });
}

void LayerPreconditionerWrap::precondition_all(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  guarded(env, [&] {
    const auto list = info[0].As<Napi::Array>();
    struct Entry {
      Work work;
      WeightArrays v;
      WeightArrays out;
      std::span<double> report;
      double cost = 0;
      Outcome outcome;
      std::exception_ptr error;
    };
    std::vector<Entry> entries(list.Length());
    for (std::uint32_t i = 0; i < list.Length(); ++i) {
      const auto item = list.Get(i).As<Napi::Object>();
      const LayerPreconditionerWrap& wrap = *Unwrap(item.Get("layer").As<Napi::Object>());
      wrap.require_idle(env, "preconditionAllSync()");
      const LayerShape& shape = wrap.layer_->shape();
      Entry& entry = entries[i];
      entry.v = weight_arrays(item.Get("vKernel"), item.Get("vBias"), "v", shape);
      entry.out = weight_arrays(item.Get("outKernel"), item.Get("outBias"), "out", shape);
      entry.report = report_array(item.Get("report"));
      entry.work = wrap.parse(env, entry.v, entry.out, false);
      entry.cost = wrap.layer_->estimated_cost(wrap.layer_->batch()->block());
    }
    for (std::size_t i = 0; i < entries.size(); ++i) {  // what one layer writes, no other may read or write
      for (std::size_t j = 0; j < entries.size(); ++j) {
        if (i == j) continue;
        require_apart(env, entries[i].out, entries[j].v);
        if (j > i) require_apart(env, entries[i].out, entries[j].out);
      }
    }
    std::vector<std::size_t> order(entries.size());
    std::iota(order.begin(), order.end(), 0);
    std::ranges::stable_sort(order, std::ranges::greater(), [&](std::size_t i) { return entries[i].cost; });
    parallel_for(order.size(), [&](std::size_t place) {
      Entry& entry = entries[order[place]];
      try {
        entry.outcome = entry.work(nullptr);
      } catch (...) {
        entry.error = std::current_exception();
      }
    });
    for (const Entry& entry : entries) {
      if (entry.error) std::rethrow_exception(entry.error);
      write_report(entry.outcome.summary, entry.report);
    }
  });
}

Napi::Value LayerPreconditionerWrap::has_damping(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    require_idle(info.Env(), "hasDamping()");
    return Napi::Boolean::New(info.Env(), layer_->has_damping());
  });
}

void LayerPreconditionerWrap::factor_spectra(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] {
    require_idle(info.Env(), "factorSpectra()");
    const std::span<double> report = report_array(info[0], spectra_numbers);
    const FactorSpectra spectra = layer_->factor_spectra();
    const std::array<double, spectra_numbers> numbers{
        spectra.traces.input,         spectra.traces.output,         spectra.input_largest,  spectra.output_largest,
        spectra.input_effective_rank, spectra.output_effective_rank, spectra.effective_rank, *microseconds_};
    std::ranges::copy(numbers, report.begin());
  });
}

void LayerPreconditionerWrap::roll_back(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] {
    require_idle(info.Env(), "rollBack()");
    layer_->roll_back();
  });
}

void LayerPreconditionerWrap::settle(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] {
    require_idle(info.Env(), "settle()");
    layer_->settle();
  });
}

Napi::Value LayerPreconditionerWrap::recorded_rows(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const FisherBlock& block = layer_->batch()->block();
    Napi::Object result = Napi::Object::New(info.Env());
    result.Set("input", static_cast<double>(block.input.count()));
    result.Set("output", static_cast<double>(block.output.count()));
    return result;
  });
}

void LayerPreconditionerWrap::forget_previous(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] {
    require_idle(info.Env(), "forgetPrevious()");
    layer_->forget_previous();
  });
}

void LayerPreconditionerWrap::set_damping(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] {
    require_idle(info.Env(), "setDamping()");
    layer_->set_damping(damping(info[0].As<Napi::Object>()));
  });
}

Napi::Value LayerPreconditionerWrap::memory_usage(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    require_idle(info.Env(), "memoryUsage()");
    const LayerMemory memory = layer_->memory();
    Napi::Object result = Napi::Object::New(info.Env());
    result.Set("batch", static_cast<double>(memory.batch));
    result.Set("workspace", static_cast<double>(memory.workspace));
    result.Set("previous", static_cast<double>(memory.previous));
    result.Set("factors", static_cast<double>(memory.factors));
    return result;
  });
}

Napi::Value LayerPreconditionerWrap::estimated_cost(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    return Napi::Number::New(info.Env(), layer_->estimated_cost(layer_->batch()->block()));
  });
}

Napi::Value LayerPreconditionerWrap::state(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const Napi::Env env = info.Env();
    require_idle(env, "state()");
    const LayerState state = layer_->state();
    Napi::Object result = Napi::Object::New(env);
    for (const auto& [name, array] : layer_arrays) result.Set(name, typed_array<Napi::Float32Array>(env, state.*array));
    for (const auto& [name, array] : kfac_arrays)
      result.Set(name, typed_array<Napi::Float32Array>(env, state.kfac.*array));
    const std::vector<double> numbers{static_cast<double>(state.input_rows),
                                      static_cast<double>(state.output_rows),
                                      static_cast<double>(state.own.input),
                                      static_cast<double>(state.own.output),
                                      state.averaged ? 1.0 : 0.0,
                                      static_cast<double>(state.kfac.steps),
                                      state.kfac.traces.input,
                                      state.kfac.traces.output};
    result.Set("numbers", typed_array<Napi::Float64Array>(env, numbers));
    return result;
  });
}

void LayerPreconditionerWrap::restore(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] {
    require_idle(info.Env(), "restore()");
    const auto unfit = [] {
      return expected(ErrorCode::shape_mismatch, "the state of a layer like this one", "state", "another");
    };
    if (!info[0].IsObject()) throw unfit();
    const auto object = info[0].As<Napi::Object>();
    const auto numbers = numbers_of<Napi::Float64Array, double>(object, "numbers", napi_float64_array);
    const bool countable = numbers.size() == 8 && std::ranges::all_of(numbers, [](double number) {
                             return number >= 0 && number <= static_cast<double>(std::numeric_limits<float>::max());
                           });
    if (!countable || std::ranges::any_of(std::span(numbers).first(6), [](double number) { return number > 9e15; }))
      throw unfit();
    LayerState state;
    state.input_rows = static_cast<std::size_t>(numbers[0]);
    state.output_rows = static_cast<std::size_t>(numbers[1]);
    state.own = {.input = static_cast<std::size_t>(numbers[2]), .output = static_cast<std::size_t>(numbers[3])};
    state.averaged = numbers[4] != 0;
    state.kfac.steps = static_cast<long>(numbers[5]);
    state.kfac.traces = {.input = numbers[6], .output = numbers[7]};
    for (const auto& [name, array] : layer_arrays)
      state.*array = numbers_of<Napi::Float32Array, float>(object, name, napi_float32_array);
    for (const auto& [name, array] : kfac_arrays)
      state.kfac.*array = numbers_of<Napi::Float32Array, float>(object, name, napi_float32_array);
    layer_->restore(state);
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
