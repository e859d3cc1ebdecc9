#include "node/functions/element_wise.h"

#include <algorithm>
#include <array>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "core/base/error.h"
#include "core/kernels/element_wise.h"
#include "node/convert/arrays.h"
#include "node/errors.h"

namespace cgfac::node {
namespace {

ElementWise function_of(const Napi::Value& value) {
  using enum ElementWise;
  using Named = std::pair<std::string_view, ElementWise>;
  static constexpr std::array<Named, 11> functions{{{"exp", exp},
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
  const std::string name = value.As<Napi::String>().Utf8Value();
  const auto* const found = std::ranges::find(functions, name, &Named::first);
  if (found == functions.end()) throw expected(ErrorCode::invalid_value, "a known function", "function", name);
  return found->second;
}

}  // namespace

void element_wise(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] {
    const ElementWise function = function_of(info[0]);
    const std::span<const float> x = float32_array(info[1], "x");
    cgfac::element_wise(function, x, float32_array(info[2], "out", x.size()));
  });
}

}  // namespace cgfac::node
