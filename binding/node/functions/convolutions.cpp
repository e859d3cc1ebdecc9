#include "node/functions/convolutions.h"

#include <cstdint>
#include <span>
#include <string>

#include "core/base/error.h"
#include "core/kernels/convolution.h"
#include "core/kernels/depthwise.h"
#include "core/kernels/pooling.h"
#include "core/kernels/segment_sum.h"
#include "node/convert/arrays.h"
#include "node/errors.h"
#include "node/functions/matrix_products.h"

namespace cgfac::node {
namespace {

void require_positive(const Extents& numbers, const char* name) {
  if (volume_of(numbers) == 0) throw expected(ErrorCode::invalid_value, "positive numbers", name, "0");
}

// The numbers of an array with extents and two sizes more.
std::size_t size_with(const Extents& sizes, std::size_t outer, std::size_t inner) {
  return volume({outer, sizes[0], sizes[1], sizes[2], inner});
}

template <typename T>
std::span<T> whole_rows(std::span<T> numbers, std::size_t width) {
  if (numbers.size() % width == 0) return numbers;
  throw expected(ErrorCode::shape_mismatch, "whole rows", "out", std::to_string(numbers.size()));
}

// The sizes of a call, in the order that lib/native declares.
ConvGeometry geometry_of(const Napi::Object& call) {
  constexpr std::size_t count = 21;
  const std::span<const std::uint32_t> sizes = uint32_array(call.Get("sizes"), "sizes");
  if (sizes.size() != count) {
    throw expected(ErrorCode::shape_mismatch, "three sizes and six times three extents", "a geometry",
                   std::to_string(sizes.size()) + " numbers");
  }
  const auto extents = [&](std::size_t which) {
    const auto of = sizes.subspan(3 + (3 * which), 3);
    return Extents{of[0], of[1], of[2]};
  };
  return {.batch = sizes[0],
          .channels = sizes[1],
          .filters = sizes[2],
          .input = extents(0),
          .output = extents(1),
          .kernel = extents(2),
          .stride = extents(3),
          .dilation = extents(4),
          .padding = extents(5)};
}

void require_steps(const ConvGeometry& geometry) {
  require_positive(geometry.stride, "stride");
  require_positive(geometry.dilation, "dilation");
}

}  // namespace

void convolution(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] {
    const auto call = info[0].As<Napi::Object>();
    const auto get = [&](const char* name) -> Napi::Value { return call.Get(name); };
    const ConvGeometry geometry = geometry_of(call);
    const std::size_t inputs = size_with(geometry.input, geometry.batch, geometry.channels);
    const std::size_t outputs = size_with(geometry.output, geometry.batch, geometry.filters);
    const std::span<float> x = float32_array(get("x"), "x", inputs);
    const std::span<float> w =
        float32_array(get("w"), "w", size_with(geometry.kernel, geometry.channels, geometry.filters));
    const std::span<float> out = float32_array(get("out"), "out", outputs);
    require_steps(geometry);
    cgfac::convolution(geometry, x, w, epilogue_of(call, {1, geometry.rows(), geometry.filters}), out);
  });
}

void pooling_gradient(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] {
    const auto call = info[0].As<Napi::Object>();
    const auto get = [&](const char* name) -> Napi::Value { return call.Get(name); };
    const ConvGeometry geometry = geometry_of(call);
    const std::size_t inputs = size_with(geometry.input, geometry.batch, geometry.channels);
    const std::span<float> x = float32_array(get("x"), "x", inputs);
    const std::span<float> dy =
        float32_array(get("dy"), "dy", size_with(geometry.output, geometry.batch, geometry.channels));
    const std::span<float> dx = float32_array(get("dx"), "dx", inputs);
    require_steps(geometry);
    require_positive(geometry.kernel, "kernel");
    const std::string kind = get("kind").As<Napi::String>().Utf8Value();
    if (kind == "max") {
      max_pool_gradient(geometry, x, dy, dx);
    } else if (kind == "average") {
      average_pool_gradient(geometry, dy, dx);
    } else {
      throw expected(ErrorCode::invalid_value, "'max' or 'average'", "kind", kind);
    }
  });
}

void convolution_gradient(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] {
    const auto call = info[0].As<Napi::Object>();
    const auto get = [&](const char* name) -> Napi::Value { return call.Get(name); };
    const ConvGeometry geometry = geometry_of(call);
    const bool depthwise = get("depthwise").ToBoolean();
    const std::size_t inputs = size_with(geometry.input, geometry.batch, geometry.channels);
    const std::size_t outputs = size_with(geometry.output, geometry.batch, geometry.filters);
    const std::size_t read = depthwise ? 1 : geometry.channels;
    const std::span<float> x = float32_array(get("x"), "x", inputs);
    const std::span<float> dy = float32_array(get("dy"), "dy", outputs);
    const std::span<float> w = float32_array(get("w"), "w", size_with(geometry.kernel, read, geometry.filters));
    require_steps(geometry);
    if (depthwise && (geometry.filters % geometry.channels != 0 || geometry.input[0] * geometry.output[0] != 1)) {
      throw expected(ErrorCode::shape_mismatch, "filters of each channel, in two dimensions", "a depthwise convolution",
                     std::to_string(geometry.filters));
    }
    const bool kernel = get("gradientOf").As<Napi::String>().Utf8Value() == "kernel";
    if (kernel && depthwise) depthwise_kernel_gradient(geometry, x, dy, w);
    if (kernel && !depthwise) conv_kernel_gradient(geometry, x, dy, w);
    if (!kernel && depthwise) depthwise_input_gradient(geometry, dy, w, x);
    if (!kernel && !depthwise) conv_input_gradient(geometry, dy, w, x);
  });
}

void segment_sum(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] {
    const auto call = info[0].As<Napi::Object>();
    const std::span<const std::int32_t> ids = int32_array(call.Get("ids"), "ids");
    const std::size_t width = size_of(call.Get("width"));
    const std::size_t numbers = ids.size() * width;
    const Napi::Value x = call.Get("x");
    const Napi::Value out = call.Get("out");
    if (width == 0) throw expected(ErrorCode::invalid_value, "a positive width", "rows", "0");
    if (is_int32_array(x)) {
      cgfac::segment_sum(int32_array(x, "x", numbers), ids, width, whole_rows(int32_array(out, "out"), width));
    } else {
      cgfac::segment_sum(float32_array(x, "x", numbers), ids, width, whole_rows(float32_array(out, "out"), width));
    }
  });
}

}  // namespace cgfac::node
