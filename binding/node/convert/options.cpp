#include "node/convert/options.h"

#include <algorithm>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

#include "core/base/error.h"
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

template <typename Value>
using Choices = std::initializer_list<std::pair<std::string_view, Value>>;

// What the option names. The facade has checked it: another name is one that the core was not told of.
template <typename Value>
Value choice(const Napi::Object& options, const char* name, const Choices<Value>& choices) {
  const std::string given = string_option(options, name);
  for (const auto& [each, value] : choices) {
    if (each == given) return value;
  }
  throw expected(ErrorCode::invalid_value, "a name that the addon knows", name, given);
}

Method method(const Napi::Object& options) {
  const std::string given = string_option(options, "method");
  const auto* const found = std::ranges::find(method_names, given);
  if (found == method_names.end())
    throw expected(ErrorCode::invalid_value, "a name that the addon knows", "method", given);
  return static_cast<Method>(found - method_names.begin());
}

FactorOptions factor_options(const Napi::Object& options) {
  return {.history = choice<FactorHistory>(
              options, "factorHistory",
              {{"none", FactorHistory::none}, {"panel", FactorHistory::panel}, {"dense", FactorHistory::dense}}),
          .decay = number_of(options.Get("factorDecay")),
          .rank = size_option(options, "rank"),
          .panel_rows = size_option(options, "panelRows"),
          .window = size_option(options, "window"),
          .fills_up = options.Get("fillsUp").ToBoolean().Value()};
}

}  // namespace

LayerShape layer_shape(const Napi::Object& options) {
  return {.in_features = size_option(options, "inFeatures"),
          .out_features = size_option(options, "outFeatures"),
          .bias = options.Get("bias").As<Napi::Boolean>().Value(),
          .loss_reduction = choice<LossReduction>(options, "lossReduction",
                                                  {{"sum", LossReduction::sum}, {"mean", LossReduction::mean}}),
          .layout = choice<KernelLayout>(options, "kernelLayout",
                                         {{"out-in", KernelLayout::out_in}, {"in-out", KernelLayout::in_out}})};
}

Damping damping(const Napi::Object& options) {
  const Napi::Value value = options.Get("damping");
  if (value.IsNumber()) return {.value = number_of(value), .relative = false};
  return {.value = number_of(value.As<Napi::Object>().Get("relative")), .relative = true};
}

CgFacOptions cg_fac_options(const Napi::Object& options) {
  return {.cg = {.max_iterations = integer_option(options, "maxIterations"),
                 .tolerance = number_of(options.Get("tolerance"))},
          .space = choice<Space>(options, "space",
                                 {{"auto", Space::automatic}, {"gram", Space::gram}, {"weight", Space::weight}})};
}

LayerOptions layer_options(const Napi::Object& options) {
  return {.damping = damping(options),
          .damping_mode = choice<DampingMode>(
              options, "dampingMode", {{"tikhonov", DampingMode::tikhonov}, {"factored", DampingMode::factored}}),
          .block = choice<Block>(options, "block", {{"kronecker", Block::kronecker}, {"sample", Block::sample}}),
          .method = method(options),
          .factor = factor_options(options),
          .cg_fac = cg_fac_options(options),
          .warm_start = choice<WarmStart>(
              options, "warmStart",
              {{"none", WarmStart::none}, {"previous", WarmStart::previous}, {"scaled", WarmStart::scaled}}),
          .factor_update_steps = integer_option(options, "factorUpdateSteps"),
          .inverse_update_steps = integer_option(options, "inverseUpdateSteps")};
}

}  // namespace cgfac::node
