#include "node/functions/binary.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "core/base/error.h"
#include "core/kernels/batch_normalization.h"
#include "core/kernels/binary.h"
#include "core/kernels/cast.h"
#include "core/kernels/select.h"
#include "node/convert/arrays.h"
#include "node/errors.h"

namespace cgfac::node {
namespace {

template <typename Function>
using Named = std::pair<std::string_view, Function>;

constexpr std::array<Named<Arithmetic>, 8> arithmetic{{{"add", Arithmetic::add},
                                                       {"subtract", Arithmetic::subtract},
                                                       {"multiply", Arithmetic::multiply},
                                                       {"divide", Arithmetic::divide},
                                                       {"maximum", Arithmetic::maximum},
                                                       {"minimum", Arithmetic::minimum},
                                                       {"squaredDifference", Arithmetic::squared_difference},
                                                       {"leakyRelu", Arithmetic::leaky_relu}}};
constexpr std::array<Named<Comparison>, 6> comparisons{{{"equal", Comparison::equal},
                                                        {"notEqual", Comparison::not_equal},
                                                        {"less", Comparison::less},
                                                        {"lessEqual", Comparison::less_equal},
                                                        {"greater", Comparison::greater},
                                                        {"greaterEqual", Comparison::greater_equal}}};
constexpr std::array<Named<Logical>, 3> logical{
    {{"and", Logical::conjunction}, {"or", Logical::disjunction}, {"xor", Logical::exclusive_disjunction}}};

template <typename Functions>
auto find(const Functions& functions, std::string_view name) {
  const auto* const found = std::ranges::find(functions, name, [](const auto& each) { return each.first; });
  return found == functions.end() ? std::nullopt : std::optional(found->second);
}

// The shape of a and that of b, one behind the other.
BroadcastPlaces broadcast_of(const Napi::Value& value) {
  const std::span<const std::uint32_t> shapes = uint32_array(value, "shapes");
  const bool empty = std::ranges::find(shapes, 0U) != shapes.end();
  if (shapes.size() % 2 != 0 || empty) {
    throw expected(ErrorCode::shape_mismatch, "positive extents, as many of a as of b", "shapes",
                   std::to_string(shapes.size()) + " numbers");
  }
  return {shapes.first(shapes.size() / 2), shapes.last(shapes.size() / 2)};
}

}  // namespace

void binary(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] {
    const std::string name = info[0].As<Napi::String>().Utf8Value();
    const BroadcastPlaces shape = broadcast_of(info[1]);
    const std::size_t size = shape.size();
    if (const auto function = find(logical, name)) {
      const std::span<const std::uint8_t> a = uint8_array(info[2], "a", shape.size_a());
      const std::span<const std::uint8_t> b = uint8_array(info[3], "b", shape.size_b());
      cgfac::binary(*function, shape, a.data(), b.data(), uint8_array(info[4], "out", size).data());
      return;
    }
    const std::span<const float> a = float32_array(info[2], "a", shape.size_a());
    const std::span<const float> b = float32_array(info[3], "b", shape.size_b());
    if (const auto relation = find(comparisons, name)) {
      cgfac::binary(*relation, shape, a.data(), b.data(), uint8_array(info[4], "out", size).data());
      return;
    }
    const auto function = find(arithmetic, name);
    if (!function) throw expected(ErrorCode::invalid_value, "a known function", "function", name);
    cgfac::binary(*function, shape, a.data(), b.data(), float32_array(info[4], "out", size).data());
  });
}

void cast(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] {
    const Napi::Value x = info[0];
    const Napi::Value out = info[1];
    if (is_int32_array(out)) {
      const std::span<const float> from = float32_array(x, "x");
      cgfac::cast(from, int32_array(out, "out", from.size()));
    } else if (is_int32_array(x)) {
      const std::span<const std::int32_t> from = int32_array(x, "x");
      cgfac::cast(from, uint8_array(out, "out", from.size()));
    } else {
      const std::span<const float> from = float32_array(x, "x");
      cgfac::cast(from, uint8_array(out, "out", from.size()));
    }
  });
}

void select(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] {
    const std::span<const std::uint8_t> condition = uint8_array(info[0], "condition");
    const Napi::Value yes = info[1];
    const Napi::Value no = info[2];
    const Napi::Value out = info[3];
    const std::size_t size = condition.size();
    if (is_uint8_array(out)) {
      cgfac::select(condition, uint8_array(yes, "yes", size), uint8_array(no, "no", size),
                    uint8_array(out, "out", size));
    } else if (is_int32_array(out)) {
      cgfac::select(condition, int32_array(yes, "yes", size), int32_array(no, "no", size),
                    int32_array(out, "out", size));
    } else {
      cgfac::select(condition, float32_array(yes, "yes", size), float32_array(no, "no", size),
                    float32_array(out, "out", size));
    }
  });
}

void batch_normalization(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] {
    const auto call = info[0].As<Napi::Object>();
    const std::span<const float> mean = float32_array(call.Get("mean"), "mean");
    const auto columns = [&](const char* name) -> std::span<const float> {
      const Napi::Value value = call.Get(name);
      if (value.IsUndefined()) return {};
      return float32_array(value, name, mean.size());
    };
    const std::span<const float> x = float32_array(call.Get("x"), "x");
    if (mean.empty() || x.size() % mean.size() != 0) {
      throw expected(ErrorCode::shape_mismatch, "whole rows, a number for each mean", "x", std::to_string(x.size()));
    }
    const ColumnStatistics of{.mean = mean,
                              .variance = float32_array(call.Get("variance"), "variance", mean.size()),
                              .scale = columns("scale"),
                              .offset = columns("offset"),
                              .epsilon = number_of(call.Get("epsilon"))};
    cgfac::batch_normalization(of, x, float32_array(call.Get("out"), "out", x.size()));
  });
}

}  // namespace cgfac::node
