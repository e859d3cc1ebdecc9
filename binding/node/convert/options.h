#pragma once

#include <napi.h>

#include "core/layer/kinds/kinds.h"
#include "core/layer/layer_options.h"
#include "core/solver/cg_fac.h"

/// Reading options, which the facade has checked and filled in. The names are those of each_option.
namespace cgfac::node {

/// Reads the options of a layer's shape.
[[nodiscard]] LayerShape layer_shape(const Napi::Object& options);
/// Reads { damping: number | { relative: number } }.
[[nodiscard]] Damping damping(const Napi::Object& options);
/// Reads the options of conjugate gradients.
[[nodiscard]] CgFacOptions cg_fac_options(const Napi::Object& options);
/// Reads the options of a layer's factors and solver.
[[nodiscard]] LayerOptions layer_options(const Napi::Object& options);

}  // namespace cgfac::node
