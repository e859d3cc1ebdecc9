#include "node/convert/arguments.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <string>

#include "core/base/error.h"
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
          "Expected arrays that share no memory with inputs, outputGrads or lossGrads for out but received an overlap");
    }
  }
  if (overlap(out.kernel, out.bias)) {
    throw coded_error(env, "ERR_CGFAC_OVERLAP",
                      "Expected kernel and bias that share no memory for out but received an overlap");
  }
}

void require_apart(Napi::Env env, const WeightArrays& out, const WeightArrays& other) {
  if (!overlap(out.kernel, other.kernel) && !overlap(out.kernel, other.bias) && !overlap(out.bias, other.kernel) &&
      !overlap(out.bias, other.bias)) {
    return;
  }
  throw coded_error(env, "ERR_CGFAC_OVERLAP",
                    "Expected arrays that share no memory with those of another layer for out but received an overlap");
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

LayerOptions layer_options(const Napi::Object& options) {
  LayerOptions result;
  result.damping = damping(options);
  if (string_option(options, "dampingMode") == "factored") result.damping_mode = DampingMode::factored;
  if (string_option(options, "block") == "sample") result.block = Block::sample;
  const std::string method = string_option(options, "method");
  if (method == "auto") result.method = Method::automatic;
  if (method == "exact") result.method = Method::exact;
  if (method == "kfac") result.method = Method::kfac;
  result.cg_fac = cg_fac_options(options);
  result.warm_start = warm_start(options);
  result.kfac = {.factor_update_steps = options.Get("factorUpdateSteps").As<Napi::Number>().Int32Value(),
                 .inverse_update_steps = options.Get("inverseUpdateSteps").As<Napi::Number>().Int32Value(),
                 .factor_decay = options.Get("factorDecay").As<Napi::Number>().DoubleValue()};
  return result;
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

void set_products(Napi::Object& object, const SolutionProducts& products) {
  const auto set = [&](const char* name, double value) {
    if (!std::isnan(value)) object.Set(name, value);
  };
  set("vx", products.vx);
  set("xFx", products.xfx);
  set("xx", products.xx);
}

void write_report(const LayerSummary& summary, std::span<double> report) {
  constexpr double unknown = SolutionProducts::unknown;
  const auto index = [](bool second) { return second ? 1.0 : 0.0; };
  double method = 0;
  if (summary.method == Method::exact) method = 1;
  if (summary.method == Method::kfac) method = 2;
  const bool cg = summary.cg_fac.has_value();
  const bool kfac = summary.method == Method::kfac;
  double basis = unknown;
  if (cg && summary.cg_fac->space == Space::gram) basis = index(summary.cg_fac->basis == GramBasis::tridiagonal);
  const bool covariance_input = kfac || summary.forms.input == FactorForm::covariance;
  const bool covariance_output = kfac || summary.forms.output == FactorForm::covariance;
  double damping = summary.damping > 0 ? summary.damping : unknown;
  if (summary.factored) damping = summary.factored->input;
  const std::array<double, report_numbers> numbers{
      method,
      cg ? summary.cg_fac->cg.iterations : 0.0,
      cg ? summary.cg_fac->cg.residual : unknown,
      cg ? summary.cg_fac->cg.initial_residual : unknown,
      cg ? static_cast<double>(summary.cg_fac->cg.reason) : static_cast<double>(CgReason::cancelled),  // solved
      cg ? index(summary.cg_fac->space == Space::weight) : index(kfac),
      basis,
      index(covariance_input),
      index(covariance_output),
      damping,
      summary.factored ? summary.factored->output : unknown,
      summary.exact ? summary.exact->values.lambda_max : unknown,
      summary.exact ? summary.exact->values.effective_rank : unknown,
      summary.exact ? static_cast<double>(summary.exact->clamped) : unknown,
      summary.products.vx,
      summary.products.xfx,
      summary.products.xx};
  std::ranges::copy(numbers, report.begin());
}

std::span<double> report_array(const Napi::Value& value, std::size_t numbers) {
  napi_typedarray_type type = napi_float64_array;
  std::size_t length = 0;
  void* data = nullptr;
  if (!value.IsTypedArray() ||
      napi_get_typedarray_info(value.Env(), value, &type, &length, &data, nullptr, nullptr) != napi_ok ||
      type != napi_float64_array || length != numbers) {
    throw expected(ErrorCode::shape_mismatch, "a Float64Array of length " + std::to_string(numbers), "report",
                   "another value");
  }
  return {static_cast<double*>(data), length};
}

}  // namespace cgfac::node
