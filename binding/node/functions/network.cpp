#include "node/functions/network.h"

#include <chrono>
#include <cmath>
#include <optional>
#include <utility>
#include <vector>

#include "core/layer/layer.h"
#include "core/layer/side_by_side.h"
#include "core/layer/trust_region.h"
#include "node/classes/layer.h"
#include "node/convert/arrays.h"
#include "node/convert/options.h"
#include "node/convert/report_writer.h"
#include "node/errors.h"
#include "node/functions/layer_list.h"

namespace cgfac::node {
namespace {

double microseconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start).count();
}

// --- prepare

struct Prepared {
  LayerStep step{};
  double momentum_product = SolutionProducts::unknown;
  std::size_t sampled = 0;
  double norm = SolutionProducts::unknown;
  double microseconds = 0;
};
using AllPrepared = std::vector<Prepared>;

struct PrepareTask {
  std::optional<WeightArrays> v{};
  std::optional<WeightArrays> momentum{};
  bool refresh = false;
  std::span<double> report{};
  std::span<double> products{};  // u of each sample, where it is asked for
};

struct Trust {
  double kl = 0;
  double step_size = 0;
};

struct PrepareJob {
  std::shared_ptr<Layers> all;
  std::vector<PrepareTask> tasks;
  Damping damping{};
  std::optional<Trust> trust{};

  [[nodiscard]] std::optional<WeightView<const float>> given(std::size_t i) const {
    std::optional<WeightView<const float>> v;
    if (const auto& arrays = tasks[i].v) v = arrays->view(shape_block(all->layers[i]->shape()));
    return v;
  }
  [[nodiscard]] LayerStep prepare(std::size_t i, const PrepareOptions& options) const {
    return all->layers[i]->prepare(given(i), options);
  }

  // What the length of the step depends on besides ⟨v, x⟩.
  void measure(std::size_t i, Prepared& prepared) const {
    const Layer& layer = *all->layers[i];
    const PrepareTask& task = tasks[i];
    if (task.momentum)
      prepared.momentum_product = layer.inner_product(given(i), task.momentum->view(shape_block(layer.shape())));
    if (task.products.empty()) return;
    const SampledProducts products = layer.sampled_products();
    if (products.u.size() > task.products.size()) return;  // of more samples than there is room for: not known
    std::ranges::copy(products.u, task.products.begin());
    prepared.sampled = products.samples;
    prepared.norm = layer.direction_norm();
  }

  // Every λ times the factor that meets the predicted divergence.
  void meet(const Trust& limit, const CancelFlag* cancel) const {
    std::vector<SolvedSpectrum> spectra(tasks.size());
    side_by_side(all->costs, [&](std::size_t i) {
      const LayerStep step = prepare(i, {.cancel = cancel, .spectrum = &spectra[i].spectrum});
      spectra[i].damping = step.curved ? step.summary.damping : 0;
    });
    std::vector<SolvedSpectrum> curved;
    for (const SolvedSpectrum& each : spectra) {
      if (each.damping > 0) curved.push_back(each);
    }
    const double factor = trust_factor(curved, limit.kl, limit.step_size);
    for (std::size_t i = 0; i < tasks.size(); ++i) {
      if (spectra[i].damping > 0) all->layers[i]->set_damping({.value = spectra[i].damping * factor});
    }
  }

  AllPrepared operator()(const CancelFlag* cancel) const {
    AllPrepared prepared(tasks.size());
    side_by_side(all->costs, [&](std::size_t i) {
      const auto start = std::chrono::steady_clock::now();
      Layer& layer = *all->layers[i];
      layer.set_damping(damping);
      if (cancel != nullptr && *cancel) return;
      if (tasks[i].refresh) layer.refresh();
      if (!trust) {
        prepared[i].step = prepare(i, {.cancel = cancel});
        measure(i, prepared[i]);
      }
      prepared[i].microseconds = microseconds_since(start);
    });
    if (!trust || (cancel != nullptr && *cancel)) return prepared;
    meet(*trust, cancel);
    side_by_side(all->costs, [&](std::size_t i) {
      const auto start = std::chrono::steady_clock::now();
      prepared[i].step = prepare(i, {.cancel = cancel});
      measure(i, prepared[i]);
      prepared[i].microseconds += microseconds_since(start);
    });
    return prepared;
  }
};

void write_step(const Prepared& prepared, std::span<double> report) {
  write_report(prepared.step, prepared.microseconds, report);
  report[StepReport::momentum_product] = prepared.momentum_product;
  report[StepReport::sampled] = static_cast<double>(prepared.sampled);
  report[StepReport::norm] = prepared.norm;
}

// Gradients are the caller's; momentum, products and reports are the package's own.
Call<AllPrepared> parse_prepare(const Napi::CallbackInfo& info, std::shared_ptr<Layers>& layers, CallMemory& memory) {
  layers = std::make_shared<Layers>(info, "a step");
  PrepareJob job{.all = layers, .tasks = {}};
  std::vector<std::span<double>> reports;
  for (std::size_t i = 0; i < layers->layers.size(); ++i) {
    const Napi::Object item = item_of(info, i);
    PrepareTask task;
    task.refresh = item.Get("refresh").ToBoolean();
    if (!item.Get("kernel").IsUndefined())
      task.v = weight_arrays(item.Get("kernel"), item.Get("bias"), "gradient", layers->layers[i]->shape());
    task.momentum = weight_vector(item.Get("momentum"), "momentum", layers->layers[i]->shape());
    if (item.Get("products").IsTypedArray()) task.products = float64_array(item.Get("products"), "products");
    task.report = report_array<StepReport>(item.Get("report"));
    reports.push_back(task.report);
    job.tasks.push_back(task);
  }
  for (PrepareTask& task : job.tasks) {
    if (task.v) task.v = memory.read(*task.v);
  }
  const auto options = info[1].As<Napi::Object>();
  job.damping = damping(options);
  const Napi::Value trust = options.Get("trust");
  if (trust.IsObject()) {
    const auto object = trust.As<Napi::Object>();
    job.trust = Trust{.kl = number_of(object.Get("kl")), .step_size = number_of(object.Get("stepSize"))};
  }
  return {.work = std::move(job), .tell = [reports](Napi::Env env, const AllPrepared& prepared) -> Napi::Value {
            for (std::size_t i = 0; i < reports.size(); ++i) write_step(prepared[i], reports[i]);
            return env.Undefined();
          }};
}

// --- write

// An update's vector of that name; none where it is undefined.
std::optional<WeightArrays> updated(const Napi::Object& item, const char* name, const LayerShape& shape) {
  return weight_vector(item.Get(name), name, shape);
}

// The same as the caller's arrays have it, room in an asynchronous call.
std::optional<WeightArrays> rewritten(const Napi::Object& item, const char* name, const LayerShape& shape,
                                      CallMemory& memory) {
  const std::optional<WeightArrays> arrays = updated(item, name, shape);
  if (!arrays) return std::nullopt;
  const auto vector = item.Get(name).As<Napi::Object>();
  return memory.write({.kernel = vector.Get("kernel"), .bias = vector.Get("bias"), .name = name, .memory = *arrays},
                      false);
}

// Momentum and averages are the package's own, and so are weights that `weightsTo` stands beside: a copy of the
// caller's, into which they go in the end.
LayerUpdate parse_update(const Napi::Object& item, const Napi::Object& options, const LayerShape& shape,
                         CallMemory& memory) {
  const std::optional<WeightArrays> kept = updated(item, "kept", shape);
  const std::optional<WeightArrays> weights = updated(item, "weights", shape);
  const std::optional<WeightArrays> gradient = rewritten(item, "gradient", shape, memory);
  const std::optional<WeightArrays> average = updated(item, "average", shape);
  for (const auto& own : {kept, average}) {
    if (own) memory.keep(*own);
  }
  if (const std::optional<WeightArrays> to = updated(item, "weightsTo", shape); to && weights) {
    const auto vector = item.Get("weightsTo").As<Napi::Object>();
    memory.deliver(*weights,
                   {.kernel = vector.Get("kernel"), .bias = vector.Get("bias"), .name = "weights", .memory = *to});
  }
  const auto view = [&](const std::optional<WeightArrays>& arrays) -> std::optional<WeightView<float>> {
    if (!arrays) return std::nullopt;
    return arrays->view(shape_block(shape));
  };
  return {.step_size = number_of(item.Get("stepSize")),
          .rate = number_of(options.Get("rate")),
          .largest = number_of(item.Get("largest")),
          .momentum = number_of(options.Get("momentum")),
          .weight_decay = number_of(options.Get("weightDecay")),
          .average_decay = number_of(options.Get("averageDecay")),
          .kept = view(kept),
          .weights = view(weights),
          .gradient = view(gradient),
          .average = view(average)};
}

Call<Nothing> parse_write(const Napi::CallbackInfo& info, std::shared_ptr<Layers>& layers, CallMemory& memory) {
  layers = std::make_shared<Layers>(info, "a step");
  const auto options = info[1].As<Napi::Object>();
  const std::span<double> factors = float64_array(options.Get("factors"), "factors", layers->layers.size());
  std::vector<LayerUpdate> updates;
  updates.reserve(layers->layers.size());
  for (std::size_t i = 0; i < layers->layers.size(); ++i)
    updates.push_back(parse_update(item_of(info, i), options, layers->layers[i]->shape(), memory));
  return {.work =
              [layers, updates, factors](const CancelFlag* /*cancel*/) {
                const CancelScope to_the_end(nullptr);
                side_by_side(layers->costs, [&](std::size_t i) { factors[i] = layers->layers[i]->write(updates[i]); });
                return Nothing{};
              },
          .tell =
              [layers](Napi::Env env, const Nothing& /*none*/) {
                for (const auto& layer : layers->layers) layer->settle();
                return env.Undefined();
              }};
}

// --- single layers side by side

using AllSolved = std::vector<LayerWrap::Solved>;

Call<AllSolved> parse_precondition(const Napi::CallbackInfo& info) {
  const auto layers = std::make_shared<Layers>(info, "preconditionAllSync()");
  std::vector<std::function<LayerWrap::Solved(const CancelFlag*)>> works;
  std::vector<std::span<double>> reports;
  for (std::size_t i = 0; i < layers->layers.size(); ++i) {
    const Napi::Object item = item_of(info, i);
    const LayerShape& shape = layers->layers[i]->shape();
    const WeightArrays v = weight_arrays(item.Get("vKernel"), item.Get("vBias"), "v", shape);
    const WeightArrays out = weight_arrays(item.Get("outKernel"), item.Get("outBias"), "out", shape);
    require_no_overlap(info.Env(), out, {.v = v});
    works.push_back(LayerWrap::of(item.Get("layer")).solve(v, out, false));
    reports.push_back(report_array<SolveReport>(item.Get("report")));
  }
  return {.work =
              [layers, works](const CancelFlag* cancel) {
                AllSolved solved(works.size());
                side_by_side(layers->costs, [&](std::size_t i) { solved[i] = works[i](cancel); });
                return solved;
              },
          .tell = [reports](Napi::Env env, const AllSolved& solved) -> Napi::Value {
            for (std::size_t i = 0; i < reports.size(); ++i) write_report(solved[i].summary, reports[i]);
            return env.Undefined();
          }};
}

}  // namespace

void prepare_all_sync(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] {
    std::shared_ptr<Layers> layers;
    CallMemory memory;
    run_now(info.Env(), parse_prepare(info, layers, memory));
    layers->tell_memory();
  });
}

Napi::Value prepare_all(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    std::shared_ptr<Layers> layers;
    const auto memory = Addon::of(info.Env()).call_memory();
    Call<AllPrepared> call = parse_prepare(info, layers, *memory);
    return queue_all(info, std::move(call), layers, memory, info[2]);
  });
}

void write_all_sync(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] {
    std::shared_ptr<Layers> layers;
    CallMemory memory;
    run_now(info.Env(), parse_write(info, layers, memory));
    layers->tell_memory();
  });
}

Napi::Value write_all(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    std::shared_ptr<Layers> layers;
    const auto memory = Addon::of(info.Env()).call_memory();
    Call<Nothing> call = parse_write(info, layers, *memory);
    return queue_all(info, std::move(call), layers, memory, info.Env().Undefined());
  });
}

void precondition_all_sync(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] { run_now(info.Env(), parse_precondition(info)); });
}

}  // namespace cgfac::node
