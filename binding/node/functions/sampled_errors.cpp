#include "node/functions/sampled_errors.h"

#include <string>

#include "core/base/error.h"
#include "core/kernels/sampled_errors.h"
#include "node/convert/arrays.h"
#include "node/errors.h"

namespace cgfac::node {
namespace {

Distribution distribution_named(const std::string& name) {
  if (name == "categorical") return Distribution::categorical;
  if (name == "bernoulli") return Distribution::bernoulli;
  if (name == "gaussian") return Distribution::gaussian;
  throw expected(ErrorCode::invalid_value, "'categorical', 'bernoulli' or 'gaussian'", "distribution", name);
}

}  // namespace

void sample_errors(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] {
    const auto call = info[0].As<Napi::Object>();
    const Distribution distribution = distribution_named(call.Get("distribution").As<Napi::String>().Utf8Value());
    const std::span<float> errors = float32_array(call.Get("errors"), "errors");
    const std::span<const float> p = float32_array(call.Get("probabilities"), "probabilities", errors.size());
    const std::span<const double> factors = float64_array(call.Get("factors"), "factors");
    const std::span<std::uint32_t> state = uint32_array(call.Get("state"), "state");
    const std::size_t width = size_of(call.Get("width"));
    if (width == 0 || errors.size() % width != 0 || state.size() != 4 || factors.empty()) {
      throw expected(ErrorCode::shape_mismatch, "whole rows, four words of state and a factor", "sampled targets",
                     "others");
    }
    UniformNumbers uniform(state.first<4>());
    const std::size_t rows = errors.size() / width;
    cgfac::sample_errors(distribution, {p.data(), rows, width}, factors, uniform, {errors.data(), rows, width});
  });
}

}  // namespace cgfac::node
