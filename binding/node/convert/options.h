#pragma once

#include <napi.h>

#include "core/layer/kinds/dense.h"
#include "core/layer/layer_options.h"
#include "core/solver/cg_fac.h"

/// Reading options, which the facade has checked and filled in.
namespace cgfac::node {

/// Reads { inFeatures, outFeatures, bias, lossReduction, kernelLayout }.
[[nodiscard]] LayerShape layer_shape(const Napi::Object& options);
/// Reads { damping: number | { relative: number } }.
[[nodiscard]] Damping damping(const Napi::Object& options);
/// Reads { maxIterations, tolerance, space }.
[[nodiscard]] CgFacOptions cg_fac_options(const Napi::Object& options);
/// Reads { damping, dampingMode, block, method, warmStart, factorUpdateSteps, inverseUpdateSteps, factorHistory,
/// factorDecay, rank, panelRows, window, fillsUp } and those of cg_fac_options.
[[nodiscard]] LayerOptions layer_options(const Napi::Object& options);

}  // namespace cgfac::node
