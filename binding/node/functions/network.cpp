#include "node/functions/network.h"

#include <chrono>
#include <cmath>
#include <optional>
#include <utility>
#include <vector>

#include "core/block/finite.h"
#include "core/block/weight_vector.h"
#include "core/layer/layer.h"
#include "core/layer/side_by_side.h"
#include "core/layer/trust_region.h"
#include "node/classes/layer.h"
#include "node/convert/arrays.h"
#include "node/convert/options.h"
#include "node/convert/report_writer.h"
#include "node/errors.h"

namespace cgfac::node {
namespace {

double microseconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start).count();
}

// The layers of a list, none of which has a call pending.
struct Layers {
  std::vector<std::shared_ptr<Layer>> layers;
  std::vector<std::shared_ptr<std::size_t>> pending;
  std::vector<double> costs;

  Layers(const Napi::CallbackInfo& info, const char* call) {
    const auto list = info[0].As<Napi::Array>();
    for (std::uint32_t i = 0; i < list.Length(); ++i) {
      const LayerWrap& wrap = LayerWrap::of(list.Get(i).As<Napi::Object>().Get("layer"));
      wrap.require_idle(info.Env(), call);
      layers.push_back(wrap.layer());
      pending.push_back(wrap.pending());
      costs.push_back(wrap.layer()->estimated_cost());
    }
  }
  void count(std::ptrdiff_t change) const {
    for (const auto& each : pending) *each += static_cast<std::size_t>(change);
  }
};

Napi::Object item_of(const Napi::CallbackInfo& info, std::size_t index) {
  return info[0].As<Napi::Array>().Get(static_cast<std::uint32_t>(index)).As<Napi::Object>();
}

// A call over all layers: their pending calls are counted, and the list with its arrays is pinned.
template <typename Outcome>
Napi::Value queue_all(const Napi::CallbackInfo& info, Call<Outcome> call, const std::shared_ptr<Layers>& layers,
                      const Napi::Value& token) {
  call.pins = {info[0], info[1]};
  call.started = [layers] { layers->count(1); };
  call.settled = [layers] { layers->count(-1); };
  return queue(info.Env(), std::move(call), token);
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

Call<AllPrepared> parse_prepare(const Napi::CallbackInfo& info, std::shared_ptr<Layers>& layers) {
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

Call<Nothing> parse_write(const Napi::CallbackInfo& info, std::shared_ptr<Layers>& layers) {
  layers = std::make_shared<Layers>(info, "a step");
  const auto options = info[1].As<Napi::Object>();
  const std::span<double> factors = float64_array(options.Get("factors"), "factors", layers->layers.size());
  std::vector<LayerUpdate> updates;
  for (std::size_t i = 0; i < layers->layers.size(); ++i) {
    const Napi::Object item = item_of(info, i);
    const LayerShape& shape = layers->layers[i]->shape();
    const auto vector = [&](const char* name) -> std::optional<WeightView<float>> {
      const std::optional<WeightArrays> arrays = weight_vector(item.Get(name), name, shape);
      if (!arrays) return std::nullopt;
      return arrays->view(shape_block(shape));
    };
    updates.push_back({.step_size = number_of(item.Get("stepSize")),
                       .rate = number_of(options.Get("rate")),
                       .largest = number_of(item.Get("largest")),
                       .momentum = number_of(options.Get("momentum")),
                       .weight_decay = number_of(options.Get("weightDecay")),
                       .average_decay = number_of(options.Get("averageDecay")),
                       .kept = vector("kept"),
                       .weights = vector("weights"),
                       .gradient = vector("gradient"),
                       .average = vector("average")});
  }
  return {.work =
              [layers, updates, factors](const CancelFlag* /*cancel*/) {
                side_by_side(layers->costs, [&](std::size_t i) {
                  factors[i] = layers->layers[i]->write(updates[i]);
                  layers->layers[i]->settle();
                });
                return Nothing{};
              },
          .tell = [](Napi::Env env, const Nothing& /*none*/) { return env.Undefined(); }};
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
    run_now(info.Env(), parse_prepare(info, layers));
  });
}

Napi::Value prepare_all(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    std::shared_ptr<Layers> layers;
    Call<AllPrepared> call = parse_prepare(info, layers);
    return queue_all(info, std::move(call), layers, info[2]);
  });
}

void write_all_sync(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] {
    std::shared_ptr<Layers> layers;
    run_now(info.Env(), parse_write(info, layers));
  });
}

Napi::Value write_all(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    std::shared_ptr<Layers> layers;
    Call<Nothing> call = parse_write(info, layers);
    return queue_all(info, std::move(call), layers, info.Env().Undefined());
  });
}

void precondition_all_sync(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] { run_now(info.Env(), parse_precondition(info)); });
}

void average_all(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] {
    const auto list = info[0].As<Napi::Array>();
    const double decay = number_of(info[1]);
    for (std::uint32_t i = 0; i < list.Length(); ++i) {
      const auto item = list.Get(i).As<Napi::Object>();
      const std::span<float> weights = float32_array(item.Get("weights"), "weights");
      const std::span<float> average = float32_array(item.Get("average"), "average", weights.size());
      average_weights(decay, weights, average);
    }
  });
}

void combine(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] {
    const auto call = info[0].As<Napi::Object>();
    const std::span<float> out = float32_array(call.Get("out"), "out");
    const std::span<const float> x = float32_array(call.Get("x"), "x", out.size());
    const std::span<const float> y = float32_array(call.Get("y"), "y", out.size());
    combine_arrays(number_of(call.Get("keep")), x, number_of(call.Get("factor")), y, out);
  });
}

Napi::Value square(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const std::span<const float> numbers = float32_array(info[0], "an array");
    return Napi::Number::New(info.Env(), dot_in_pieces(numbers, numbers));
  });
}

Napi::Value first_not_finite(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const auto list = info[0].As<Napi::Array>();
    for (std::uint32_t i = 0; i < list.Length(); ++i) {
      const std::span<const float> numbers = float32_array(list.Get(i), "an array");
      if (!all_finite(numbers)) return Napi::Number::New(info.Env(), i);
    }
    return Napi::Number::New(info.Env(), -1);
  });
}

}  // namespace cgfac::node
