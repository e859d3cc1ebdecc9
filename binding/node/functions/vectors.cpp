#include "node/functions/vectors.h"

#include "core/base/fingerprint.h"
#include "core/block/finite.h"
#include "core/block/weight_vector.h"
#include "core/layer/update.h"
#include "node/async/call_memory.h"
#include "node/convert/arrays.h"
#include "node/errors.h"

namespace cgfac::node {

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

void copy_all(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] {
    const auto list = info[0].As<Napi::Array>();
    for (std::uint32_t i = 0; i < list.Length(); ++i) {
      const auto item = list.Get(i).As<Napi::Object>();
      const std::span<float> from = float32_array(item.Get("from"), "from");
      copy_numbers(from, float32_array(item.Get("to"), "to", from.size()));
    }
  });
}

Napi::Value square(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const std::span<const float> numbers = float32_array(info[0], "an array");
    return Napi::Number::New(info.Env(), dot_in_pieces(numbers, numbers));
  });
}

Napi::Value fingerprint(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const auto list = info[0].As<Napi::Array>();
    std::uint64_t hash = no_fingerprint;
    for (std::uint32_t i = 0; i < list.Length(); ++i)
      hash = cgfac::fingerprint(float32_array(list.Get(i), "an array"), hash);
    return Napi::Number::New(info.Env(), static_cast<double>(hash >> 11U));
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
