#include "node/convert/arrays.h"

#include <functional>
#include <initializer_list>
#include <limits>
#include <string>

#include "core/base/error.h"
#include "node/errors.h"

namespace cgfac::node {
namespace {

struct ArrayInfo {
  bool fits = false;
  std::size_t length = 0;
  void* data = nullptr;
};

// Not Napi::TypedArray, which asks for the ArrayBuffer and finds none where the memory is shared.
ArrayInfo array_info(const Napi::Value& value, napi_typedarray_type wanted) {
  napi_typedarray_type type = napi_int8_array;
  ArrayInfo info;
  if (!value.IsTypedArray()) return info;
  info.fits =
      napi_get_typedarray_info(value.Env(), value, &type, &info.length, &info.data, nullptr, nullptr) == napi_ok &&
      type == wanted;
  return info;
}

template <typename T>
std::span<T> array_of(const Napi::Value& value, napi_typedarray_type type, const char* type_name, std::string_view name,
                      std::size_t length) {
  const ArrayInfo info = array_info(value, type);
  if (!info.fits || info.length != length) {
    throw expected(ErrorCode::shape_mismatch, std::string("a ") + type_name + " of length " + std::to_string(length),
                   name, info.fits ? "length " + std::to_string(info.length) : "another value");
  }
  return {static_cast<T*>(info.data), length};
}

bool overlap(std::span<const float> x, std::span<const float> y) {
  const std::less<> before;
  return !x.empty() && !y.empty() && before(x.data(), y.data() + y.size()) && before(y.data(), x.data() + x.size());
}

bool same(std::span<const float> x, std::span<const float> y) {
  return x.data() == y.data() && x.size() == y.size();
}

void refuse(Napi::Env env, const std::string& expected_arrays) {
  throw coded_error(env, "ERR_CGFAC_OVERLAP", "Expected " + expected_arrays + " for out but received an overlap");
}

void require_same_or_apart(Napi::Env env, const WeightArrays& out, const WeightArrays& other, const char* name) {
  const bool in_place = same(out.kernel, other.kernel) && (out.bias.empty() || same(out.bias, other.bias));
  const bool apart = !overlap(out.kernel, other.kernel) && !overlap(out.kernel, other.bias) &&
                     !overlap(out.bias, other.kernel) && !overlap(out.bias, other.bias);
  if (!in_place && !apart)
    refuse(env, std::string("arrays that are those of ") + name + ", or share no memory with them,");
}

}  // namespace

std::span<float> float32_array(const Napi::Value& value, std::string_view name, std::size_t length) {
  return array_of<float>(value, napi_float32_array, "Float32Array", name, length);
}

std::span<float> float32_array(const Napi::Value& value, std::string_view name) {
  return float32_array(value, name, array_info(value, napi_float32_array).length);
}

std::span<double> float64_array(const Napi::Value& value, std::string_view name, std::size_t length) {
  return array_of<double>(value, napi_float64_array, "Float64Array", name, length);
}

std::span<double> float64_array(const Napi::Value& value, std::string_view name) {
  return float64_array(value, name, array_info(value, napi_float64_array).length);
}

std::span<std::uint32_t> uint32_array(const Napi::Value& value, std::string_view name) {
  const std::size_t length = array_info(value, napi_uint32_array).length;
  return array_of<std::uint32_t>(value, napi_uint32_array, "Uint32Array", name, length);
}

std::span<std::int32_t> int32_array(const Napi::Value& value, std::string_view name, std::size_t length) {
  return array_of<std::int32_t>(value, napi_int32_array, "Int32Array", name, length);
}

std::span<std::int32_t> int32_array(const Napi::Value& value, std::string_view name) {
  return int32_array(value, name, array_info(value, napi_int32_array).length);
}

std::span<std::uint8_t> uint8_array(const Napi::Value& value, std::string_view name, std::size_t length) {
  return array_of<std::uint8_t>(value, napi_uint8_array, "Uint8Array", name, length);
}

std::span<std::uint8_t> uint8_array(const Napi::Value& value, std::string_view name) {
  return uint8_array(value, name, array_info(value, napi_uint8_array).length);
}

bool is_uint8_array(const Napi::Value& value) {
  return array_info(value, napi_uint8_array).fits;
}

bool is_int32_array(const Napi::Value& value) {
  return array_info(value, napi_int32_array).fits;
}

std::size_t size_of(const Napi::Value& value) {
  return value.As<Napi::Number>().Uint32Value();
}

std::size_t volume(std::initializer_list<std::size_t> sizes) {
  std::size_t product = 1;
  for (const std::size_t size : sizes) {
    if (size == 0 || size > std::numeric_limits<std::uint32_t>::max() / product) {
      throw expected(ErrorCode::invalid_value, "positive sizes with a product below 2^32", "a shape",
                     std::to_string(size));
    }
    product *= size;
  }
  return product;
}

double number_of(const Napi::Value& value) {
  return value.As<Napi::Number>().DoubleValue();
}

WeightArrays weight_arrays(const Napi::Value& kernel, const Napi::Value& bias, std::string_view name,
                           const LayerShape& shape) {
  WeightArrays result{.kernel = float32_array(kernel, name, shape.in_features * shape.out_features), .bias = {}};
  if (shape.bias) result.bias = float32_array(bias, name, shape.out_features);
  return result;
}

std::optional<WeightArrays> weight_vector(const Napi::Value& value, std::string_view name, const LayerShape& shape) {
  if (!value.IsObject()) return std::nullopt;
  const auto vector = value.As<Napi::Object>();
  return weight_arrays(vector.Get("kernel"), vector.Get("bias"), name, shape);
}

void require_no_overlap(Napi::Env env, const WeightArrays& out, const Read& read) {
  if (read.v) require_same_or_apart(env, out, *read.v, "v");
  if (read.x0) require_same_or_apart(env, out, *read.x0, "x0");
  for (const std::span<const float> rows : read.rows) {
    if (overlap(out.kernel, rows) || overlap(out.bias, rows))
      refuse(env, "arrays that share no memory with inputs, outputGrads or lossGrads");
  }
  if (overlap(out.kernel, out.bias)) refuse(env, "kernel and bias that share no memory");
}

}  // namespace cgfac::node
