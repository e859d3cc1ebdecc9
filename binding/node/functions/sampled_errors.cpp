#include "node/functions/sampled_errors.h"

#include <algorithm>
#include <array>
#include <string>

#include "core/base/error.h"
#include "core/kernels/head_fit.h"
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

// What a call says of a head.
HeadNumbers head_of(const Napi::Object& call, std::span<const float> p, std::span<const float> y) {
  const std::size_t width = size_of(call.Get("width"));
  const std::span<const float> weights = float32_array(call.Get("weights"), "weights");
  const std::size_t rows = width == 0 ? 0 : y.size() / width;
  if (rows == 0 || rows * width != y.size() || weights.empty() || rows % weights.size() != 0) {
    throw expected(ErrorCode::shape_mismatch, "whole rows, and a weight for each of equal groups of them", "a head",
                   "others");
  }
  return {.distribution = distribution_named(call.Get("distribution").As<Napi::String>().Utf8Value()),
          .probabilities = {p.data(), rows, width},
          .targets = {y.data(), rows, width},
          .weights = weights};
}

}  // namespace

void fit_head(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] {
    const auto call = info[0].As<Napi::Object>();
    const std::span<const float> y = float32_array(call.Get("targets"), "targets");
    const std::span<const float> p = float32_array(call.Get("probabilities"), "probabilities", y.size());
    const std::span<const float> d = float32_array(call.Get("gradient"), "gradient", y.size());
    const std::span<double> sums = float64_array(call.Get("sums"), "sums", 7);
    const HeadNumbers head = head_of(call, p, y);
    const HeadFit fit = cgfac::fit_head(head, {d.data(), head.targets.rows, head.targets.cols});
    const std::array<double, 7> found = {fit.compared.dd,
                                         fit.compared.de,
                                         fit.compared.ee,
                                         fit.left_out.dd,
                                         fit.left_out.de,
                                         fit.left_out.ee,
                                         static_cast<double>(fit.count)};
    std::ranges::copy(found, sums.begin());
  });
}

void target_entropy(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] {
    const auto call = info[0].As<Napi::Object>();
    const std::span<const float> y = float32_array(call.Get("targets"), "targets");
    const std::span<double> sums = float64_array(call.Get("sums"), "sums", 2);
    const TargetEntropy entropy = cgfac::target_entropy(head_of(call, y, y));
    sums[0] = entropy.sum;
    sums[1] = entropy.soft ? 1 : 0;
  });
}

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
