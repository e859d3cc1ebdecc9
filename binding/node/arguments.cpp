#include "node/arguments.h"

#include <cmath>
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

namespace {

void set_iterations(Napi::Object& result, const CgFacSummary& summary) {
  result.Set("iterations", summary.cg.iterations);
  result.Set("residual", summary.cg.residual);
  result.Set("initialResidual", summary.cg.initial_residual);
  result.Set("reason", reason_name(summary.cg.reason));
  result.Set("space", summary.space == Space::gram ? "gram" : "weight");
}

}  // namespace

Napi::Object summary_object(Napi::Env env, const CgFacSummary& summary) {
  Napi::Object result = Napi::Object::New(env);
  set_iterations(result, summary);
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

Napi::Object summary_object(Napi::Env env, const LayerSummary& summary) {
  Napi::Object result = Napi::Object::New(env);
  const auto form_name = [](FactorForm form) { return form == FactorForm::panel ? "panel" : "covariance"; };
  switch (summary.method) {
    case Method::automatic:
    case Method::cg:
      result.Set("method", "cg");
      break;
    case Method::exact:
      result.Set("method", "exact");
      break;
    case Method::kfac:
      result.Set("method", "kfac");
      break;
  }
  if (summary.cg_fac) {
    set_iterations(result, *summary.cg_fac);
    if (summary.cg_fac->space == Space::gram) {
      result.Set("basis", summary.cg_fac->basis == GramBasis::tridiagonal ? "tridiagonal" : "plain");
    }
  } else {
    result.Set("iterations", 0);
    result.Set("reason", "solved");
    result.Set("space", summary.method == Method::kfac ? "weight" : "gram");
  }
  const bool forms_known = summary.method != Method::kfac;
  result.Set("inputForm", forms_known ? form_name(summary.forms.input) : "covariance");
  result.Set("outputForm", forms_known ? form_name(summary.forms.output) : "covariance");
  if (summary.factored) {
    Napi::Object gammas = Napi::Object::New(env);
    gammas.Set("input", summary.factored->input);
    gammas.Set("output", summary.factored->output);
    result.Set("damping", gammas);
  } else if (summary.damping > 0) {
    result.Set("damping", summary.damping);
  }
  if (summary.exact) {
    const Spectrum::Values& values = summary.exact->values;
    if (!std::isnan(values.lambda_max)) result.Set("lambdaMax", values.lambda_max);
    if (!std::isnan(values.effective_rank)) result.Set("effectiveRank", values.effective_rank);
    result.Set("clamped", static_cast<double>(summary.exact->clamped));
  }
  set_products(result, summary.products);
  return result;
}

}  // namespace cgfac::node
