#include "node/functions/shares.h"

#include <cmath>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/error.h"
#include "core/layer/layer.h"
#include "core/layer/side_by_side.h"
#include "node/addon.h"
#include "node/convert/arrays.h"
#include "node/errors.h"
#include "node/functions/layer_list.h"

namespace cgfac::node {
namespace {

Error unfit_share() {
  return expected(ErrorCode::shape_mismatch, "what a layer like this one shares", "a share", "another");
}

// A count that another rank told.
std::size_t count_of(double number) {
  constexpr double most = 0x1p53;
  if (!(number >= 0 && number <= most)) throw unfit_share();
  return static_cast<std::size_t>(number);
}

Layer& idle_layer(const Napi::CallbackInfo& info) {
  const LayerWrap& wrap = LayerWrap::of(info[0]);
  wrap.require_idle(info.Env(), "a step");
  return *wrap.layer();
}

Napi::Float32Array float_array(Napi::Env env, std::span<const float> numbers) {
  Napi::Float32Array result = Napi::Float32Array::New(env, numbers.size());
  std::ranges::copy(numbers, result.Data());
  return result;
}

Napi::Value double_array(Napi::Env env, const std::vector<double>& numbers) {
  return {env, typed_array<Napi::Float64Array>(env, numbers)};
}

MatrixView<const float> rows_of(const Napi::Value& value, std::string_view name, std::size_t width) {
  const std::span<float> numbers = float32_array(value, name);
  if (numbers.size() % width != 0) throw unfit_share();
  return {numbers.data(), numbers.size() / width, width};
}

// Places of the numbers of a recorded share; four for each part follow, then one for each part of sampled gradients.
enum Recorded : std::size_t {
  samples,
  fisher_samples,
  loss_factor,
  fisher_factor,
  for_factors,
  parts,
  recorded_places
};

std::vector<double> numbers_of(const RecordedShare& share) {
  std::vector<double> numbers{static_cast<double>(share.samples),
                              static_cast<double>(share.fisher_samples),
                              share.loss_factor,
                              share.fisher_factor,
                              static_cast<double>(share.for_factors),
                              static_cast<double>(share.parts.size())};
  for (const RecordedPart& part : share.parts) {
    for (const std::size_t each : {part.first_row, part.rows, part.samples.first, part.samples.count})
      numbers.push_back(static_cast<double>(each));
  }
  for (const std::size_t rows : share.fisher_parts) numbers.push_back(static_cast<double>(rows));
  return numbers;
}

// Rows of all parts together are those that are there.
void require_whole(const RecordedShare& share) {
  std::size_t rows = 0;
  for (const RecordedPart& part : share.parts) {
    if (part.first_row != rows) throw unfit_share();
    rows += part.rows;
  }
  std::size_t sampled = 0;
  for (const std::size_t each : share.fisher_parts) sampled += each;
  const std::size_t own = share.loss_grads.rows;
  if (rows != share.inputs.rows || sampled != share.output_grads.rows || (own != 0 && own != rows)) throw unfit_share();
}

RecordedShare recorded_of(const Napi::Object& object, const LayerShape& shape) {
  const KindOfLayer& kind = kind_of(shape);
  const std::span<const double> numbers = float64_array(object.Get("numbers"), "numbers");
  if (numbers.size() < recorded_places) throw unfit_share();
  const std::size_t count = count_of(numbers[parts]);
  if (count > numbers.size() || recorded_places + (4 * count) > numbers.size()) throw unfit_share();
  const std::size_t width = kind.output_width(shape);
  RecordedShare share{.inputs = rows_of(object.Get("inputs"), "inputs", kind.input_width(shape)),
                      .loss_grads = rows_of(object.Get("lossGrads"), "lossGrads", width),
                      .output_grads = rows_of(object.Get("outputGrads"), "outputGrads", width),
                      .loss_factor = numbers[loss_factor],
                      .fisher_factor = numbers[fisher_factor],
                      .for_factors = numbers[for_factors] != 0,
                      .samples = count_of(numbers[samples]),
                      .fisher_samples = count_of(numbers[fisher_samples])};
  for (std::size_t i = 0; i < count; ++i) {
    const std::span<const double> part = numbers.subspan(recorded_places + (4 * i), 4);
    share.parts.push_back({.first_row = count_of(part[0]),
                           .rows = count_of(part[1]),
                           .samples = {.first = count_of(part[2]), .count = count_of(part[3])}});
  }
  for (const double rows : numbers.subspan(recorded_places + (4 * count))) share.fisher_parts.push_back(count_of(rows));
  require_whole(share);
  return share;
}

// Places of a side's share.
enum Meta : std::size_t { drawn, counted, sample_count, weight, squares, factor, meta_places };

Napi::Value share_object(Napi::Env env, const std::optional<SideShare>& share) {
  if (!share) return env.Undefined();
  Napi::Object object = Napi::Object::New(env);
  object.Set("form", static_cast<double>(share->form));
  object.Set("numbers", float_array(env, share->numbers));
  const std::vector<double> meta{static_cast<double>(share->drawn),
                                 static_cast<double>(share->count),
                                 static_cast<double>(share->samples),
                                 share->weight,
                                 share->squares,
                                 share->factor};
  object.Set("meta", double_array(env, meta));
  return object;
}

std::vector<SideShare> shares_of(const Napi::Value& value) {
  const auto list = value.As<Napi::Array>();
  std::vector<SideShare> result;
  for (std::uint32_t i = 0; i < list.Length(); ++i) {
    const auto object = list.Get(i).As<Napi::Object>();
    const std::span<const double> meta = float64_array(object.Get("meta"), "meta", meta_places);
    const std::span<const float> numbers = float32_array(object.Get("numbers"), "numbers");
    result.push_back({.form = number_of(object.Get("form")) == 0 ? ShareForm::rows : ShareForm::factor,
                      .numbers = {numbers.begin(), numbers.end()},
                      .drawn = count_of(meta[drawn]),
                      .count = count_of(meta[counted]),
                      .samples = count_of(meta[sample_count]),
                      .weight = meta[weight],
                      .squares = meta[squares],
                      .factor = meta[factor]});
  }
  return result;
}

struct WantedSide {
  ShareForm form = ShareForm::rows;
  DrawRange range{};
};

std::optional<WantedSide> wanted_side(const Napi::Value& value) {
  if (value.IsUndefined()) return std::nullopt;
  const auto object = value.As<Napi::Object>();
  const std::span<const double> range = float64_array(object.Get("range"), "range", 4);
  return WantedSide{.form = number_of(object.Get("form")) == 0 ? ShareForm::rows : ShareForm::factor,
                    .range = {.first = count_of(range[0]),
                              .all = count_of(range[1]),
                              .most = count_of(range[2]),
                              .stream = count_of(range[3])}};
}

struct ShareTask {
  std::optional<WeightArrays> gradient{};
  std::optional<WantedSide> input{};
  std::optional<WantedSide> output{};
};

struct Shared {
  std::optional<SideShare> input{};
  std::optional<SideShare> output{};
};

using AllShared = std::vector<Shared>;

// Gradients are the package's own arrays.
Call<AllShared> parse_share(const Napi::CallbackInfo& info, const std::shared_ptr<Layers>& layers) {
  std::vector<ShareTask> tasks;
  for (std::size_t i = 0; i < layers->layers.size(); ++i) {
    const Napi::Object item = item_of(info, i);
    tasks.push_back({.gradient = weight_vector(item.Get("gradient"), "gradient", layers->layers[i]->shape()),
                     .input = wanted_side(item.Get("input")),
                     .output = wanted_side(item.Get("output"))});
  }
  const auto work = [layers, tasks](const CancelFlag* cancel) {
    AllShared shared(tasks.size());
    side_by_side(layers->costs, [&](std::size_t i) {
      if (cancel != nullptr && *cancel) return;
      Layer& layer = *layers->layers[i];
      const auto& [gradient, input, output] = tasks[i];
      if (gradient) layer.form_gradient(gradient->view(shape_block(layer.shape())));
      if (input) shared[i].input = layer.side_share(LayerSide::input, input->form, input->range);
      if (output) shared[i].output = layer.side_share(LayerSide::output, output->form, output->range);
    });
    return shared;
  };
  return {.work = work, .tell = [](Napi::Env env, const AllShared& shared) -> Napi::Value {
            Napi::Array list = Napi::Array::New(env, shared.size());
            for (std::uint32_t i = 0; i < shared.size(); ++i) {
              const Napi::Object object = Napi::Object::New(env);
              object.Set("input", share_object(env, shared[i].input));
              object.Set("output", share_object(env, shared[i].output));
              list.Set(i, object);
            }
            return list;
          }};
}

using AllMeasured = std::vector<double>;

Call<AllMeasured> parse_measure(const Napi::CallbackInfo& info, const std::shared_ptr<Layers>& layers) {
  std::vector<std::span<double>> rooms;
  rooms.reserve(layers->layers.size());
  for (std::size_t i = 0; i < layers->layers.size(); ++i)
    rooms.push_back(float64_array(item_of(info, i).Get("products"), "products"));
  const auto work = [layers, rooms](const CancelFlag* /*cancel*/) {
    AllMeasured measured(rooms.size());
    side_by_side(layers->costs, [&](std::size_t i) {
      const SampledProducts products = layers->layers[i]->sampled_products();
      if (products.u.size() > rooms[i].size()) return;  // of more samples than there is room for: not known
      std::ranges::copy(products.u, rooms[i].begin());
      measured[i] = static_cast<double>(products.samples);
    });
    return measured;
  };
  return {.work = work, .tell = [](Napi::Env env, const AllMeasured& measured) -> Napi::Value {
            return double_array(env, measured);
          }};
}

template <typename Outcome>
Napi::Value shared_now(const Napi::CallbackInfo& info,
                       Call<Outcome> (*parse)(const Napi::CallbackInfo&, const std::shared_ptr<Layers>&)) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const auto layers = std::make_shared<Layers>(info, "a step");
    return run_now(info.Env(), parse(info, layers));
  });
}

template <typename Outcome>
Napi::Value shared_later(const Napi::CallbackInfo& info,
                         Call<Outcome> (*parse)(const Napi::CallbackInfo&, const std::shared_ptr<Layers>&)) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const auto layers = std::make_shared<Layers>(info, "a step");
    const auto memory = Addon::of(info.Env()).call_memory();
    Call<Outcome> call = parse(info, layers);
    return queue_all(info, std::move(call), layers, memory, info[2]);
  });
}

}  // namespace

Napi::Value recorded_share(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const RecordedShare share = idle_layer(info).recorded_share();
    Napi::Object object = Napi::Object::New(info.Env());
    object.Set("inputs", float_array(info.Env(), share.inputs.elements()));
    object.Set("lossGrads", float_array(info.Env(), share.loss_grads.elements()));
    object.Set("outputGrads", float_array(info.Env(), share.output_grads.elements()));
    object.Set("numbers", double_array(info.Env(), numbers_of(share)));
    return object;
  });
}

void record_share(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] {
    Layer& layer = idle_layer(info);
    layer.record(recorded_of(info[1].As<Napi::Object>(), layer.shape()));
    LayerWrap::of(info[0]).tell_memory();
  });
}

Napi::Value share_counts(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const ShareCounts counts = idle_layer(info).share_counts();
    std::vector<double> numbers;
    for (const std::size_t count : {counts.inputs, counts.loss_grads, counts.output_grads, counts.input_rows,
                                    counts.output_rows, counts.samples, counts.parts, counts.refreshes})
      numbers.push_back(static_cast<double>(count));
    return double_array(info.Env(), numbers);
  });
}

Napi::Value share_all_sync(const Napi::CallbackInfo& info) {
  return shared_now(info, parse_share);
}

Napi::Value share_all(const Napi::CallbackInfo& info) {
  return shared_later(info, parse_share);
}

void take_shares(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] { idle_layer(info).take_shares(shares_of(info[1]), shares_of(info[2])); });
}

Napi::Value direction(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const PreparedDirection prepared = idle_layer(info).direction();
    Napi::Object object = Napi::Object::New(info.Env());
    object.Set("numbers", float_array(info.Env(), prepared.numbers));
    const std::vector<double> meta{static_cast<double>(prepared.form), static_cast<double>(prepared.rows),
                                   prepared.scale, prepared.bound};
    object.Set("meta", double_array(info.Env(), meta));
    return object;
  });
}

void take_direction(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] {
    const auto object = info[1].As<Napi::Object>();
    const std::span<const float> numbers = float32_array(object.Get("numbers"), "numbers");
    const std::span<const double> meta = float64_array(object.Get("meta"), "meta", 4);
    constexpr std::array forms{PreparedDirection::Form::zero, PreparedDirection::Form::rows,
                               PreparedDirection::Form::formed};
    const std::size_t form = count_of(meta[0]);
    if (form >= forms.size()) throw unfit_share();
    idle_layer(info).take_direction({.form = forms[form],
                                     .numbers = {numbers.begin(), numbers.end()},
                                     .rows = count_of(meta[1]),
                                     .scale = meta[2],
                                     .bound = meta[3]});
    LayerWrap::of(info[0]).tell_memory();
  });
}

Napi::Value measure_all_sync(const Napi::CallbackInfo& info) {
  return shared_now(info, parse_measure);
}

Napi::Value measure_all(const Napi::CallbackInfo& info) {
  return shared_later(info, parse_measure);
}

}  // namespace cgfac::node
