#pragma once

#include <napi.h>

#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "core/layer/layer_preconditioner.h"

/// Reading arguments. The facade has checked types and values and speaks to the user; these checks keep a call that
/// did not come through it from touching memory that is not its own.
namespace cgfac::node {

/// The memory of a Float32Array of that length, shared or not. Throws for another type or length.
[[nodiscard]] std::span<float> float32_array(const Napi::Value& value, std::string_view name, std::size_t length);

/// A vector of weight space as JavaScript has it: a kernel array and, for a layer with a bias, a bias array.
struct WeightArrays {
  std::span<float> kernel;
  std::span<float> bias;

  [[nodiscard]] WeightView<float> view(const FisherBlock& block) const {
    return {block.kernel_view(kernel.data()), bias};
  }
};
[[nodiscard]] WeightArrays weight_arrays(const Napi::Value& kernel, const Napi::Value& bias, std::string_view name,
                                         const LayerShape& shape);

/// Refuses an `out` that overlaps what is read, unless it is the same arrays as `v` or `x0` in both parts.
void require_no_overlap(Napi::Env env, const WeightArrays& out, const WeightArrays& v,
                        const std::optional<WeightArrays>& x0, std::span<const float> inputs,
                        std::span<const float> output_grads);

/// Refuses an `out` that shares memory with another layer's arrays.
void require_apart(Napi::Env env, const WeightArrays& out, const WeightArrays& other);

/// { inFeatures, outFeatures, bias, lossReduction, kernelLayout }
[[nodiscard]] LayerShape layer_shape(const Napi::Object& options);
/// { damping: number | { relative: number } }
[[nodiscard]] Damping damping(const Napi::Object& options);
/// { maxIterations, tolerance, space }
[[nodiscard]] CgFacOptions cg_fac_options(const Napi::Object& options);
[[nodiscard]] WarmStart warm_start(const Napi::Object& options);
/// { damping, dampingMode, block, method, warmStart, factorUpdateSteps, inverseUpdateSteps, factorDecay } and those of
/// cg_fac_options
[[nodiscard]] LayerOptions layer_options(const Napi::Object& options);

/// { iterations, residual, initialResidual, reason, space }
[[nodiscard]] Napi::Object summary_object(Napi::Env env, const CgFacSummary& summary);
/// Writes what a layer says of a solve as numbers, in the order that lib/native.ts names; NaN for what is not known.
/// Building an object costs more than solving for a tiny layer.
constexpr std::size_t report_numbers = 17;
void write_report(const LayerSummary& summary, std::span<double> report);
/// The memory of a Float64Array for a report.
[[nodiscard]] std::span<double> report_array(const Napi::Value& value, std::size_t numbers = report_numbers);
/// { vx, xFx, xx }: those that are known
void set_products(Napi::Object& object, const SolutionProducts& products);

}  // namespace cgfac::node
