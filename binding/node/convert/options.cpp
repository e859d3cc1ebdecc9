#include "node/convert/options.h"

#include <algorithm>
#include <string>

#include "node/convert/arrays.h"

namespace cgfac::node {
namespace {

std::string string_option(const Napi::Object& options, const char* name) {
  return options.Get(name).As<Napi::String>().Utf8Value();
}

std::size_t size_option(const Napi::Object& options, const char* name) {
  return size_of(options.Get(name));
}

int integer_option(const Napi::Object& options, const char* name) {
  return options.Get(name).As<Napi::Number>().Int32Value();
}

WarmStart warm_start(const std::string& name) {
  if (name == "none") return WarmStart::none;
  return name == "scaled" ? WarmStart::scaled : WarmStart::previous;
}

Method method_named(const std::string& name) {
  return static_cast<Method>(std::ranges::find(method_names, name) - method_names.begin());
}

FactorHistory history_named(const std::string& name) {
  if (name == "panel") return FactorHistory::panel;
  return name == "dense" ? FactorHistory::dense : FactorHistory::none;
}

FactorOptions factor_options(const Napi::Object& options) {
  return {.history = history_named(string_option(options, "factorHistory")),
          .decay = number_of(options.Get("factorDecay")),
          .rank = size_option(options, "rank"),
          .panel_rows = size_option(options, "panelRows"),
          .window = size_option(options, "window"),
          .fills_up = options.Get("fillsUp").ToBoolean().Value()};
}

}  // namespace

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
  if (value.IsNumber()) return {.value = number_of(value), .relative = false};
  return {.value = number_of(value.As<Napi::Object>().Get("relative")), .relative = true};
}

CgFacOptions cg_fac_options(const Napi::Object& options) {
  CgFacOptions result{.cg = {.max_iterations = integer_option(options, "maxIterations"),
                             .tolerance = number_of(options.Get("tolerance"))}};
  const std::string space = string_option(options, "space");
  if (space == "gram") result.space = Space::gram;
  if (space == "weight") result.space = Space::weight;
  return result;
}

LayerOptions layer_options(const Napi::Object& options) {
  LayerOptions result;
  result.damping = damping(options);
  if (string_option(options, "dampingMode") == "factored") result.damping_mode = DampingMode::factored;
  if (string_option(options, "block") == "sample") result.block = Block::sample;
  result.method = method_named(string_option(options, "method"));
  result.factor = factor_options(options);
  result.cg_fac = cg_fac_options(options);
  result.warm_start = warm_start(string_option(options, "warmStart"));
  result.factor_update_steps = integer_option(options, "factorUpdateSteps");
  result.inverse_update_steps = integer_option(options, "inverseUpdateSteps");
  return result;
}

}  // namespace cgfac::node
