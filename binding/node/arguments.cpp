#include "node/arguments.h"

#include <functional>
#include <string>

#include "core/error.h"
#include "node/errors.h"

namespace cgfac::node {
namespace {

bool overlap(std::span<const float> x, std::span<const float> y) {
  const std::less<> before;
  return !x.empty() && !y.empty() && before(x.data(), y.data() + y.size()) && before(y.data(), x.data() + x.size());
}

bool same(std::span<const float> x, std::span<const float> y) {
  return x.data() == y.data() && x.size() == y.size();
}

void require_same_or_apart(Napi::Env env, const WeightArrays& out, const WeightArrays& other, const char* name) {
  const bool in_place = same(out.kernel, other.kernel) && (out.bias.empty() || same(out.bias, other.bias));
  const bool apart = !overlap(out.kernel, other.kernel) && !overlap(out.kernel, other.bias) &&
                     !overlap(out.bias, other.kernel) && !overlap(out.bias, other.bias);
  if (!in_place && !apart) {
    throw coded_error(env, "ERR_CGFAC_OVERLAP",
                      std::string("Expected arrays that are those of ") + name +
                          ", or share no memory with them, for out but received an overlap");
  }
}

std::string string_option(const Napi::Object& options, const char* name) {
  return options.Get(name).As<Napi::String>().Utf8Value();
}

std::size_t size_option(const Napi::Object& options, const char* name) {
  return options.Get(name).As<Napi::Number>().Uint32Value();
}

const char* reason_name(CgReason reason) {
  switch (reason) {
    case CgReason::converged:
      return "converged";
    case CgReason::max_iterations:
      return "max-iterations";
    case CgReason::indefinite:
      return "indefinite";
    case CgReason::broken_down:
      return "broken-down";
    case CgReason::cancelled:
      return "cancelled";
  }
  return "broken-down";
}

}  // namespace

std::span<float> float32_array(const Napi::Value& value, std::string_view name, std::size_t length) {
  const Napi::Env env = value.Env();
  if (!value.IsTypedArray()) throw expected(ErrorCode::shape_mismatch, "a Float32Array", name, "another value");
  napi_typedarray_type type = napi_float32_array;
  std::size_t actual = 0;
  void* data = nullptr;
  // not Napi::TypedArray, which asks for the ArrayBuffer and finds none where the memory is shared
  if (napi_get_typedarray_info(env, value, &type, &actual, &data, nullptr, nullptr) != napi_ok ||
      type != napi_float32_array || actual != length) {
    throw expected(ErrorCode::shape_mismatch, "a Float32Array of length " + std::to_string(length), name,
                   type == napi_float32_array ? "length " + std::to_string(actual) : "another type");
  }
  return {static_cast<float*>(data), length};
}

WeightArrays weight_arrays(const Napi::Value& kernel, const Napi::Value& bias, std::string_view name,
                           const LayerShape& shape) {
  WeightArrays result{.kernel = float32_array(kernel, name, shape.in_features * shape.out_features), .bias = {}};
  if (shape.bias) result.bias = float32_array(bias, name, shape.out_features);
  return result;
}

void require_no_overlap(Napi::Env env, const WeightArrays& out, const WeightArrays& v,
                        const std::optional<WeightArrays>& x0, std::span<const float> inputs,
                        std::span<const float> output_grads) {
  require_same_or_apart(env, out, v, "v");
  if (x0) require_same_or_apart(env, out, *x0, "x0");
  for (const std::span<const float> part : {std::span<const float>(out.kernel), std::span<const float>(out.bias)}) {
    if (overlap(part, inputs) || overlap(part, output_grads)) {
      throw coded_error(
          env, "ERR_CGFAC_OVERLAP",
          "Expected arrays that share no memory with inputs or outputGrads for out but received an overlap");
    }
  }
  if (overlap(out.kernel, out.bias)) {
    throw coded_error(env, "ERR_CGFAC_OVERLAP",
                      "Expected kernel and bias that share no memory for out but received an overlap");
  }
}

LayerShape layer_shape(const Napi::Object& options) {
  return {
      .in_features = size_option(options, "inFeatures"),
      .out_features = size_option(options, "outFeatures"),
      .bias = options.Get("bias").As<Napi::Boolean>().Value(),
      .loss_reduction = string_option(options, "lossReduction") == "mean" ? LossReduction::mean : LossReduction::sum,
      .layout = string_option(options, "kernelLayout") == "in-out" ? KernelLayout::in_out : KernelLayout::out_in};
}

Damping damping(const Napi::Object& options) {
  const Napi::Value value = options.Get("damping");
  if (value.IsNumber()) return {.value = value.As<Napi::Number>().DoubleValue(), .relative = false};
  return {.value = value.As<Napi::Object>().Get("relative").As<Napi::Number>().DoubleValue(), .relative = true};
}

CgFacOptions cg_fac_options(const Napi::Object& options) {
  CgFacOptions result{.cg = {.max_iterations = options.Get("maxIterations").As<Napi::Number>().Int32Value(),
                             .tolerance = options.Get("tolerance").As<Napi::Number>().DoubleValue()}};
  const std::string space = string_option(options, "space");
  if (space == "gram") result.space = Space::gram;
  if (space == "weight") result.space = Space::weight;
  return result;
}

WarmStart warm_start(const Napi::Object& options) {
  const std::string name = string_option(options, "warmStart");
  if (name == "none") return WarmStart::none;
  return name == "scaled" ? WarmStart::scaled : WarmStart::previous;
}

Napi::Object summary_object(Napi::Env env, const CgFacSummary& summary) {
  Napi::Object result = Napi::Object::New(env);
  result.Set("iterations", summary.cg.iterations);
  result.Set("residual", summary.cg.residual);
  result.Set("initialResidual", summary.cg.initial_residual);
  result.Set("reason", reason_name(summary.cg.reason));
  result.Set("space", summary.space == Space::gram ? "gram" : "weight");
  return result;
}

}  // namespace cgfac::node
