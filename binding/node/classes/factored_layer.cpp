#include "node/classes/factored_layer.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <exception>
#include <numeric>
#include <string>
#include <utility>

#include "core/base/error.h"
#include "core/threads/parallel.h"
#include "node/addon.h"
#include "node/classes/fisher_operator.h"
#include "node/errors.h"

namespace cgfac::node {
namespace {

// Places of a report, in the order that lib/native.ts names.
constexpr std::size_t step_report_numbers = 17;

std::size_t size_of(const Napi::Value& value) {
  return value.As<Napi::Number>().Uint32Value();
}

FactorHistory factor_history(const std::string& name) {
  if (name == "panel") return FactorHistory::panel;
  return name == "dense" ? FactorHistory::dense : FactorHistory::none;
}

FactorOptions factor_options(const Napi::Object& options) {
  return {.history = factor_history(options.Get("history").As<Napi::String>().Utf8Value()),
          .decay = options.Get("decay").As<Napi::Number>().DoubleValue(),
          .rank = size_of(options.Get("rank")),
          .panel_rows = size_of(options.Get("panelRows")),
          .window = size_of(options.Get("window"))};
}

template <typename Array, typename T>
Array typed_array(Napi::Env env, const std::vector<T>& numbers) {
  Array result = Array::New(env, numbers.size());
  std::ranges::copy(numbers, result.Data());
  return result;
}

template <typename Array, typename T>
std::vector<T> numbers_of(const Napi::Object& object, const char* name) {
  const Napi::Value value = object.Get(name);
  const napi_typedarray_type expected_type = std::is_same_v<T, float> ? napi_float32_array : napi_float64_array;
  if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != expected_type)
    throw expected(ErrorCode::shape_mismatch, "the state of a factor like this one", "state", "another");
  const auto array = value.As<Array>();
  return {array.Data(), array.Data() + array.ElementLength()};
}

Napi::Object state_object(Napi::Env env, const FactorState& state) {
  Napi::Object result = Napi::Object::New(env);
  result.Set("rows", typed_array<Napi::Float32Array>(env, state.rows));
  result.Set("average", typed_array<Napi::Float32Array>(env, state.average));
  result.Set("squares", typed_array<Napi::Float64Array>(env, state.squares));
  const std::vector<double> numbers{state.scale, state.trace, state.gamma, static_cast<double>(state.refreshes),
                                    static_cast<double>(state.dimension)};
  result.Set("numbers", typed_array<Napi::Float64Array>(env, numbers));
  return result;
}

FactorState factor_state(const Napi::Value& value) {
  if (!value.IsObject()) throw expected(ErrorCode::shape_mismatch, "the state of a factor", "state", "another value");
  const auto object = value.As<Napi::Object>();
  const std::vector<double> numbers = numbers_of<Napi::Float64Array, double>(object, "numbers");
  const bool countable =
      numbers.size() == 5 &&
      std::ranges::all_of(numbers, [](double number) { return number >= 0 && std::isfinite(number); }) &&
      numbers[3] <= 9e15 && numbers[4] <= 9e15;
  if (!countable) throw expected(ErrorCode::shape_mismatch, "the state of a factor", "state", "another value");
  return {.rows = numbers_of<Napi::Float32Array, float>(object, "rows"),
          .squares = numbers_of<Napi::Float64Array, double>(object, "squares"),
          .average = numbers_of<Napi::Float32Array, float>(object, "average"),
          .scale = numbers[0],
          .trace = numbers[1],
          .gamma = numbers[2],
          .refreshes = static_cast<std::size_t>(numbers[3]),
          .dimension = static_cast<std::size_t>(numbers[4])};
}

}  // namespace

// One layer's part of a call, with nothing of JavaScript but memory that is pinned.
struct FactoredLayerWrap::Item {
  std::shared_ptr<FactoredLayer> layer;
  std::shared_ptr<std::size_t> pending;
  WeightArrays arrays{};
  bool has_arrays = false;
  bool writes = false;
  bool refresh = false;
  bool curvature = false;
  Damping damping{};
  double factor = 1;
  double keep = 0;
  std::span<double> report{};
  double cost = 0;
  FactoredStep step{};
  double microseconds = 0;
  std::exception_ptr error;

  [[nodiscard]] WeightView<float> view() const {
    const LayerShape& shape = layer->shape();
    const FisherBlock block = fisher_block(
        shape, {.inputs = {nullptr, 1, shape.in_features}, .output_grads = {nullptr, 1, shape.out_features}});
    return arrays.view(block);
  }
  void run() {
    const auto start = std::chrono::steady_clock::now();
    if (writes) {
      layer->write({.out = view(), .factor = factor, .keep = keep});
    } else {
      if (refresh) layer->refresh();
      step = has_arrays ? layer->precondition(damping, view(), curvature) : layer->prepare(damping, curvature);
    }
    microseconds = std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start).count();
  }
  void write_report() const {
    if (report.empty()) return;
    const DampedFactor& input = layer->input();
    const DampedFactor& output = layer->output();
    const std::vector<double> numbers{step.vx,
                                      step.xfx,
                                      step.formed ? 1.0 : 0.0,
                                      step.gamma.input,
                                      step.gamma.output,
                                      static_cast<double>(input.rows()),
                                      static_cast<double>(output.rows()),
                                      static_cast<double>(input.rank()),
                                      static_cast<double>(output.rank()),
                                      input.largest(),
                                      output.largest(),
                                      input.effective_rank(),
                                      output.effective_rank(),
                                      input.trace(),
                                      output.trace(),
                                      step.bound,
                                      microseconds};
    std::ranges::copy(numbers, report.begin());
  }
};

Napi::Function FactoredLayerWrap::define(Napi::Env env) {
  using Wrap = FactoredLayerWrap;
  return DefineClass(env, "FactoredLayer",
                     {InstanceMethod<&Wrap::record>("record"), InstanceMethod<&Wrap::record_fisher>("recordFisher"),
                      InstanceMethod<&Wrap::require_finite>("requireFinite"), InstanceMethod<&Wrap::clear>("clear"),
                      InstanceMethod<&Wrap::reset>("reset"), InstanceMethod<&Wrap::roll_back>("rollBack"),
                      InstanceMethod<&Wrap::memory_usage>("memoryUsage"), InstanceMethod<&Wrap::state>("state"),
                      InstanceMethod<&Wrap::restore>("restore")});
}

FactoredLayerWrap::FactoredLayerWrap(const Napi::CallbackInfo& info) : Napi::ObjectWrap<FactoredLayerWrap>(info) {
  const auto options = info[0].As<Napi::Object>();
  layer_ =
      std::make_shared<FactoredLayer>(layer_shape(options), FactoredLayerOptions{.factor = factor_options(options)});
}

void FactoredLayerWrap::require_idle(Napi::Env env) const {
  if (*pending_ == 0) return;
  throw coded_error(env, "ERR_CGFAC_BUSY", "Expected no pending step for this call but received one; await it first");
}

void FactoredLayerWrap::record(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] {
    require_idle(info.Env());
    const LayerShape& shape = layer_->shape();
    const std::size_t rows = size_of(info[2]);
    const auto inputs = float32_array(info[0], "inputs", rows * shape.in_features);
    const auto loss_grads = float32_array(info[1], "lossGrads", rows * shape.out_features);
    layer_->record({inputs.data(), rows, shape.in_features}, {loss_grads.data(), rows, shape.out_features},
                   size_of(info[3]), info[4].As<Napi::Number>().DoubleValue());
  });
}

void FactoredLayerWrap::record_fisher(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] {
    require_idle(info.Env());
    const LayerShape& shape = layer_->shape();
    const std::size_t rows = size_of(info[1]);
    const auto output_grads = float32_array(info[0], "outputGrads", rows * shape.out_features);
    layer_->record_fisher({output_grads.data(), rows, shape.out_features}, info[2].As<Napi::Number>().DoubleValue());
  });
}

void FactoredLayerWrap::require_finite(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] {
    require_idle(info.Env());
    layer_->require_finite();
  });
}

void FactoredLayerWrap::clear(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] {
    require_idle(info.Env());
    layer_->clear();
  });
}

void FactoredLayerWrap::roll_back(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] {
    require_idle(info.Env());
    layer_->roll_back();
  });
}

void FactoredLayerWrap::reset(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] {
    require_idle(info.Env());
    layer_->reset();
  });
}

Napi::Value FactoredLayerWrap::memory_usage(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    require_idle(info.Env());
    const FactoredLayer::Memory memory = layer_->memory();
    Napi::Object result = Napi::Object::New(info.Env());
    result.Set("recorded", static_cast<double>(memory.recorded));
    result.Set("factors", static_cast<double>(memory.factors));
    result.Set("workspace", static_cast<double>(memory.workspace));
    return result;
  });
}

Napi::Value FactoredLayerWrap::state(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    require_idle(info.Env());
    Napi::Object result = Napi::Object::New(info.Env());
    result.Set("input", state_object(info.Env(), layer_->input().state()));
    result.Set("output", state_object(info.Env(), layer_->output().state()));
    return result;
  });
}

void FactoredLayerWrap::restore(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] {
    require_idle(info.Env());
    if (!info[0].IsObject())
      throw expected(ErrorCode::shape_mismatch, "the state of both factors", "state", "another value");
    const auto state = info[0].As<Napi::Object>();
    layer_->restore(factor_state(state.Get("input")), factor_state(state.Get("output")));
  });
}

std::vector<FactoredLayerWrap::Item> FactoredLayerWrap::parse_prepare(const Napi::CallbackInfo& info) {
  const auto list = info[0].As<Napi::Array>();
  std::vector<Item> items(list.Length());
  for (std::uint32_t i = 0; i < list.Length(); ++i) {
    const auto object = list.Get(i).As<Napi::Object>();
    const FactoredLayerWrap& wrap = *Unwrap(object.Get("layer").As<Napi::Object>());
    wrap.require_idle(info.Env());
    Item& item = items[i];
    item.layer = wrap.layer_;
    item.layer->settle();
    item.pending = wrap.pending_;
    item.refresh = object.Get("refresh").ToBoolean().Value();
    item.curvature = object.Get("curvature").ToBoolean().Value();
    item.damping = damping(object);
    item.has_arrays = !object.Get("kernel").IsUndefined();
    if (item.has_arrays)
      item.arrays = weight_arrays(object.Get("kernel"), object.Get("bias"), "gradient", wrap.layer_->shape());
    item.report = report_array(object.Get("report"), step_report_numbers);
    item.cost = wrap.layer_->estimated_cost();
  }
  return items;
}

std::vector<FactoredLayerWrap::Item> FactoredLayerWrap::parse_write(const Napi::CallbackInfo& info) {
  const auto list = info[0].As<Napi::Array>();
  std::vector<Item> items(list.Length());
  for (std::uint32_t i = 0; i < list.Length(); ++i) {
    const auto object = list.Get(i).As<Napi::Object>();
    const FactoredLayerWrap& wrap = *Unwrap(object.Get("layer").As<Napi::Object>());
    wrap.require_idle(info.Env());
    Item& item = items[i];
    item.layer = wrap.layer_;
    item.pending = wrap.pending_;
    item.writes = item.has_arrays = true;
    item.arrays = weight_arrays(object.Get("kernel"), object.Get("bias"), "out", wrap.layer_->shape());
    item.factor = object.Get("factor").As<Napi::Number>().DoubleValue();
    item.keep = object.Get("keep").As<Napi::Number>().DoubleValue();
    item.cost = wrap.layer_->estimated_cost();
  }
  return items;
}

// The layer with the most work first; every layer ends before the first error of the list is thrown.
void FactoredLayerWrap::run(std::vector<Item>& items, const CancelFlag* cancel) {
  std::vector<std::size_t> order(items.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(order, std::ranges::greater(), [&](std::size_t i) { return items[i].cost; });
  parallel_for(order.size(), [&](std::size_t place) {
    Item& item = items[order[place]];
    if (cancel != nullptr && *cancel) return;
    try {
      item.run();
    } catch (...) {
      item.error = std::current_exception();
    }
  });
  for (const Item& item : items) {
    if (item.error) std::rethrow_exception(item.error);
  }
}

Napi::Value FactoredLayerWrap::submit(const Napi::CallbackInfo& info, std::vector<Item> items,
                                      const Napi::Value& token) {
  const Napi::Env env = info.Env();
  auto job = std::make_unique<Job>(env);
  const auto shared = std::make_shared<std::vector<Item>>(std::move(items));
  job->work = [shared](const CancelFlag& cancel) { run(*shared, &cancel); };
  job->result = [shared](Napi::Env settled) {
    for (const Item& item : *shared) item.write_report();
    return settled.Undefined();
  };
  job->settled = [shared] {
    for (const Item& item : *shared) --*item.pending;
  };
  job->pin(info[0]);
  use_token(*job, token);
  for (const Item& item : *shared) ++*item.pending;
  return Addon::of(env).jobs().submit(env, std::move(job), nullptr);
}

void FactoredLayerWrap::prepare_all_sync(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] {
    std::vector<Item> items = parse_prepare(info);
    run(items, nullptr);
    for (const Item& item : items) item.write_report();
  });
}

Napi::Value FactoredLayerWrap::prepare_all(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] { return submit(info, parse_prepare(info), info[1]); });
}

void FactoredLayerWrap::write_all_sync(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] {
    std::vector<Item> items = parse_write(info);
    run(items, nullptr);
  });
}

Napi::Value FactoredLayerWrap::write_all(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] { return submit(info, parse_write(info), info.Env().Undefined()); });
}

}  // namespace cgfac::node
