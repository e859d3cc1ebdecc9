#include "node/functions/element_wise.h"

#include <algorithm>
#include <array>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "core/base/error.h"
#include "core/kernels/element_wise.h"
#include "core/kernels/element_wise_gradient.h"
#include "node/convert/arrays.h"
#include "node/errors.h"

namespace cgfac::node {
namespace {

// What has a name among `functions`.
template <typename Functions>
auto named(const Functions& functions, const Napi::Value& value) {
  const std::string name = value.As<Napi::String>().Utf8Value();
  const auto* const found = std::ranges::find(functions, name, [](const auto& each) { return each.first; });
  if (found == functions.end()) throw expected(ErrorCode::invalid_value, "a known function", "function", name);
  return found->second;
}

ElementWise function_of(const Napi::Value& value) {
  using enum ElementWise;
  static constexpr std::array<std::pair<std::string_view, ElementWise>, 11> functions{{{"exp", exp},
                                                                                       {"expm1", expm1},
                                                                                       {"log", log},
                                                                                       {"log1p", log1p},
                                                                                       {"tanh", tanh},
                                                                                       {"sigmoid", sigmoid},
                                                                                       {"elu", elu},
                                                                                       {"softplus", softplus},
                                                                                       {"erf", erf},
                                                                                       {"sqrt", sqrt},
                                                                                       {"rsqrt", rsqrt}}};
  return named(functions, value);
}

ElementWiseGradient gradient_of(const Napi::Value& value) {
  using enum ElementWiseGradient;
  static constexpr std::array<std::pair<std::string_view, ElementWiseGradient>, 11> functions{
      {{"multiply", multiply},
       {"square", square},
       {"tanh", tanh},
       {"sigmoid", sigmoid},
       {"relu", relu},
       {"relu6", relu6},
       {"elu", elu},
       {"selu", selu},
       {"softplus", softplus},
       {"leakyRelu", leaky_relu},
       {"clip", clip}}};
  return named(functions, value);
}

}  // namespace

void element_wise(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] {
    const ElementWise function = function_of(info[0]);
    const std::span<const float> x = float32_array(info[1], "x");
    cgfac::element_wise(function, x, float32_array(info[2], "out", x.size()));
  });
}

void element_wise_gradient(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] {
    const ElementWiseGradient function = gradient_of(info[0]);
    const float first = info[1].As<Napi::Number>().FloatValue();
    const float second = info[2].As<Napi::Number>().FloatValue();
    const std::span<const float> dy = float32_array(info[3], "dy");
    const std::span<const float> saved = float32_array(info[4], "saved");
    if (saved.size() < dy.size()) {
      throw expected(ErrorCode::shape_mismatch, "as many numbers as dy has", "saved", std::to_string(saved.size()));
    }
    cgfac::element_wise_gradient(function, first, second, dy, saved.first(dy.size()),
                                 float32_array(info[5], "dx", dy.size()));
  });
}

}  // namespace cgfac::node
